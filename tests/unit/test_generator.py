"""The LatentSync generator, from weights files to the mouths of a chunk, on a tiny network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from safetensors.torch import load_file, save_file
from torch import Tensor

from latentsync.errors import CheckpointError, ConfigError, LatentSyncError, UnknownPluginError
from latentsync.generate import sampling
from latentsync.generate.base import LipGenerator, load_generator
from latentsync.generate.settings import face_model
from latentsync.generate.vae import load_vae
from latentsync.models.unet import UNet3DConditionModel
from latentsync.runtime.execution import REFERENCE
from latentsync.schema import Config, GenerateConfig
from latentsync.types import Chunk
from latentsync.weights.load import read_state_dict
from tests.parity.filled import filled
from tests.tiny_latentsync import MODEL, RESOLUTION, write_tiny_model, write_vae

CPU = torch.device("cpu")
FRAMES = 3
BIT_NOISE = 1e-5
OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

Load = Callable[..., LipGenerator]


@pytest.fixture(scope="module")
def sections(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def configured(sections: dict[str, dict[str, Any]]) -> Callable[..., Config]:
    """The tiny model's configuration; settings of `generate` by name, other sections whole."""

    def configure(data: Any = None, model: Any = None, **own: Any) -> Config:
        return Config(
            data=sections["data"] if data is None else data,
            model=sections["model"] if model is None else model,
            generate=GenerateConfig(**(sections["generate"] | own)),
        )

    return configure


@pytest.fixture
def load(configured: Callable[..., Config], mask: np.ndarray) -> Load:
    def load_it(
        frame_counts: Any = None, dtype: torch.dtype = torch.float32, **settings: Any
    ) -> LipGenerator:
        execution = replace(REFERENCE, dtype=dtype)
        return load_generator(
            configured(**settings), execution, mask=mask, frame_counts=frame_counts
        )

    return load_it


@pytest.fixture(scope="module")
def plain(sections: dict[str, dict[str, Any]], mask: np.ndarray) -> LipGenerator:
    """With the tiny model's own settings; noise per chunk, so that tests cannot disturb others."""
    own = GenerateConfig(**sections["generate"])
    config = Config(data=sections["data"], model=sections["model"], generate=own)
    return load_generator(config, REFERENCE, mask=mask)


@pytest.fixture(scope="module")
def plain_chunk(plain: LipGenerator) -> Tensor:
    return plain(chunk())


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    mask = np.zeros((RESOLUTION, RESOLUTION), np.float32)
    mask[24:56, 8:56] = 1
    mask[23, 8:56] = 0.25
    return mask


def chunk(index: int = 0, frames: int = FRAMES) -> Chunk:
    g = torch.Generator().manual_seed(index)
    crops = torch.rand(frames, 3, RESOLUTION, RESOLUTION, generator=g) * 2 - 1
    return Chunk(index, crops, torch.randn(frames, 50, 384, generator=g))


def refusal(act: Callable[[], object], kind: type[LatentSyncError]) -> str:
    with pytest.raises(kind) as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    return message


# A chunk


def test_a_chunk_is_what_the_functions_of_sampling_make_of_it(
    load: Load, mask: np.ndarray, sections: dict[str, dict[str, Any]]
) -> None:
    given = chunk(index=2)
    made = load(seed=5)(given)
    unet = filled(UNet3DConditionModel(**MODEL))
    vae_file = Path(sections["generate"]["vae"]) / "diffusion_pytorch_model.safetensors"
    vae = load_vae(vae_file, REFERENCE)
    keep = torch.from_numpy(1 - mask)
    noise = sampling.per_chunk_noise(5, 2, FRAMES, RESOLUTION // 8, device=CPU)
    conditions = sampling.prepare(vae, given.crops, keep, noise)
    latents = sampling.denoise(
        unet, conditions, given.audio, noise.initial, steps=2, guidance=1.5, cache_interval=1
    )
    expected = sampling.composite(sampling.decode(vae, latents), given.crops, keep)
    torch.testing.assert_close(made, expected, rtol=0, atol=BIT_NOISE)


def test_only_what_the_mask_marks_is_new(plain: LipGenerator, mask: np.ndarray) -> None:
    given, generator = chunk(), plain
    made = generator(given)
    assert isinstance(generator, LipGenerator)
    assert (generator.name, generator.size, generator.chunk_frames) == ("latentsync", 64, 16)
    assert made.shape == given.crops.shape
    assert (made.dtype, made.device.type) == (torch.float32, "cpu")
    kept, new = torch.from_numpy(mask == 0), torch.from_numpy(mask == 1)
    assert torch.equal(made[..., kept], given.crops[..., kept])
    assert (made - given.crops)[..., new].abs().mean() > 0.1


def test_the_mouth_follows_the_sound(plain: LipGenerator, plain_chunk: Tensor) -> None:
    other = Chunk(0, chunk().crops, chunk().audio.flip(0))
    assert (plain(other) - plain_chunk).abs().max() > 0.01


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 1},
        {"steps": 3},
        {"guidance": 3.0},
        {"scheduler": "euler"},
        {"step_cache": 2},
        {"noise": "upstream", "frame_counts": [FRAMES]},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_every_setting_reaches_the_sampler(
    load: Load, plain_chunk: Tensor, settings: dict[str, Any]
) -> None:
    assert (load(**settings)(chunk()) - plain_chunk).abs().max() > 1e-3


def test_a_step_cache_of_1_is_off_like_0(load: Load, plain_chunk: Tensor) -> None:
    assert torch.equal(load(step_cache=1)(chunk()), plain_chunk)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_close_to_full(
    load: Load, plain_chunk: Tensor, dtype: torch.dtype
) -> None:
    made = load(dtype=dtype)(chunk())
    assert made.dtype == torch.float32
    assert 0 < (made - plain_chunk).abs().mean() < 0.05, "8 bits of precision at the least"


class Knower:
    """A U-Net that knows the one picture there is, and so what of its input is noise."""

    picture = 0.7

    def __init__(self) -> None:
        self.levels = DDIMScheduler(**sampling.SCHEDULE).alphas_cumprod
        self.steps: list[float] = []

    def step(self, sample: Tensor, timestep: float, *_: Tensor, **__: object) -> Any:
        self.steps.append(timestep)
        level = self.levels[round(timestep)]
        return (sample[:, :4] - level**0.5 * self.picture) / (1 - level) ** 0.5, sample


@pytest.mark.parametrize("scheduler", sampling.SCHEDULERS)
@pytest.mark.parametrize("steps", [2, 8, 20])
def test_every_scheduler_arrives_at_the_picture(scheduler: str, steps: int) -> None:
    initial = torch.randn(1, 4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    knower, conditions = Knower(), torch.zeros(1, 9, 2, 8, 8)
    latents = sampling.denoise(
        knower,
        conditions,
        torch.zeros(2, 50, 384),
        initial,
        steps=steps,
        guidance=1.0,
        scheduler=scheduler,
    )
    assert len(knower.steps) == steps
    left_over = 0.05 * initial.abs().max() if scheduler == "ddim" else 1e-3
    assert (latents - knower.picture).abs().max() <= left_over, "DDIM stops short of the picture"


# Noise


def test_chunks_may_come_in_any_order_and_alone(load: Load, plain_chunk: Tensor) -> None:
    generator = load()
    second, first = generator(chunk(1)), generator(chunk(0))
    assert torch.equal(first, plain_chunk)
    assert torch.equal(second, generator(chunk(1)))
    same_crops = Chunk(1, chunk(0).crops, chunk(0).audio)
    assert not torch.equal(generator(same_crops), first), "each has noise of its own"


def test_a_seed_of_minus_1_is_drawn_and_kept(load: Load) -> None:
    generator, other = load(seed=-1), load(seed=-1)
    assert generator.seed != other.seed
    assert generator.seed >= 0
    assert torch.equal(load(seed=generator.seed)(chunk()), generator(chunk()))


def test_upstream_s_noise_depends_on_the_chunks_before(load: Load) -> None:
    after_short, after_long = (
        load(noise="upstream", frame_counts=[frames, FRAMES]) for frames in (1, 2)
    )
    after_short(chunk(0, frames=1))
    after_long(chunk(0, frames=2))
    assert not torch.equal(after_short(chunk(1)), after_long(chunk(1)))


@pytest.mark.parametrize("wrong", [chunk(1), chunk(0, frames=2)], ids=["order", "length"])
def test_upstream_s_noise_is_given_in_order_only(load: Load, wrong: Chunk) -> None:
    generator = load(noise="upstream", frame_counts=[FRAMES, FRAMES])
    assert "chunk 0 of 3 is due; use" in refusal(lambda: generator(wrong), ConfigError)
    generator(chunk(0))
    refusal(lambda: generator(chunk(0)), ConfigError)


def test_upstream_s_noise_ends_with_the_film(load: Load) -> None:
    generator = load(noise="upstream", frame_counts=[])
    refusal(lambda: generator(chunk(0)), ConfigError)
    assert "generate.noise" in refusal(lambda: load(noise="upstream"), ConfigError)


# Files


def test_every_missing_file_is_named_at_once(load: Load, tmp_path: Path) -> None:
    paths = {key: str(tmp_path / key) for key in ("checkpoint", "vae")}
    message = refusal(lambda: load(**paths), CheckpointError)
    for key, path in paths.items():
        assert f"generate.{key}={path}" in message


@pytest.mark.parametrize(("resolution", "version"), [(256, "1.5"), (512, "1.6")])
def test_the_weights_of_the_resolution_are_asked_for(
    tmp_path: Path, resolution: int, version: str
) -> None:
    config = Config(data={"resolution": resolution})
    config.generate.vae = str(write_vae(tmp_path))
    whole = np.zeros((resolution, resolution), np.float32)
    message = refusal(lambda: load_generator(config, REFERENCE, mask=whole), CheckpointError)
    assert f"weights of LatentSync {version} not found" in message


@pytest.mark.parametrize(
    "settings", [{"use_motion_module": False}, {"block_out_channels": [32, 64, 96, 128]}]
)
def test_the_weights_of_another_u_net_are_refused(load: Load, settings: dict[str, Any]) -> None:
    wrong = MODEL | settings
    assert "weights do not fit" in refusal(lambda: load(model=wrong), CheckpointError)


def test_weights_without_motion_modules_are_refused(
    load: Load, tmp_path: Path, sections: dict[str, dict[str, Any]]
) -> None:
    state = read_state_dict(Path(sections["generate"]["checkpoint"]))
    still = {key: value for key, value in state.items() if "motion_modules" not in key}
    torch.save({"state_dict": still}, tmp_path / "stage1.pt")
    message = refusal(lambda: load(checkpoint=str(tmp_path / "stage1.pt")), CheckpointError)
    assert "missing: down_blocks.0.motion_modules.0.temporal_transformer.norm.weight" in message


def test_the_vae_s_old_names_of_attention_are_understood(
    load: Load, plain_chunk: Tensor, tmp_path: Path, sections: dict[str, dict[str, Any]]
) -> None:
    folder = Path(sections["generate"]["vae"])
    state = load_file(folder / "diffusion_pytorch_model.safetensors")
    old = {}
    for key, value in state.items():
        for now, then in OLD_NAMES.items():
            key = key.replace(f".attentions.0.{now}.", f".attentions.0.{then}.")
        old[key] = value
    assert len(old.keys() - state.keys()) == 16
    save_file(old, tmp_path / "old.safetensors")
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    made = load(vae=str(tmp_path / "old.safetensors"))(chunk())
    assert torch.equal(made, plain_chunk)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (b"{", "config.json cannot be read"),
        (b"[]", "config.json cannot be read"),
        (b'{"latent_channels": 16}', "a VAE of another kind"),
        (b'{"block_out_channels": [32, 32]}', "a VAE of another kind"),
        (None, "weights do not fit"),
    ],
)
def test_another_vae_is_refused(
    load: Load,
    tmp_path: Path,
    sections: dict[str, dict[str, Any]],
    config: bytes | None,
    message: str,
) -> None:
    name = "diffusion_pytorch_model.safetensors"
    (tmp_path / name).write_bytes((Path(sections["generate"]["vae"]) / name).read_bytes())
    if config is not None:
        (tmp_path / "config.json").write_bytes(config)
    assert message in refusal(lambda: load(vae=str(tmp_path)), CheckpointError)


# Settings


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"data": {"resolution": 60}}, "data.resolution: 60"),
        ({"data": {"resolution": "big"}}, "data.resolution: big"),
        ({"data": {"num_frames": 0}}, "data.num_frames: 0"),
        ({"data": {"num_frames": 25}}, "data.num_frames: 25"),
        ({"model": {"cross_attention_dim": 512}}, "model.cross_attention_dim: 512"),
        ({"model": {"in_channels": 9}}, "model.in_channels: 9"),
    ],
)
def test_a_section_that_makes_no_sense_is_refused(
    configured: Callable[..., Config], settings: dict[str, Any], key: str
) -> None:
    assert key in refusal(lambda: face_model(configured(**settings)), ConfigError)


def test_an_empty_section_means_version_1_6() -> None:
    model = face_model(Config())
    assert (model.resolution, model.frames, model.audio) == (512, 16, 384)


def test_an_unknown_generator_is_refused(load: Load) -> None:
    assert "latentsync" in refusal(lambda: load(name="wav2lip"), UnknownPluginError)


# Failure


@pytest.fixture
def broken(sections: dict[str, dict[str, Any]], tmp_path: Path) -> str:
    state = read_state_dict(Path(sections["generate"]["checkpoint"]))
    state["conv_out.bias"] = torch.full_like(state["conv_out.bias"], float("nan"))
    torch.save({"state_dict": state}, tmp_path / "nan.pt")
    return str(tmp_path / "nan.pt")


def test_a_mouth_that_is_not_a_number_raises(load: Load, broken: str) -> None:
    message = refusal(lambda: load(checkpoint=broken)(chunk(7)), CheckpointError)
    assert "chunk 7; set runtime.precision=fp32" in message


class Exhausted:
    """A U-Net that is too large."""

    def step(self, *_: object, **__: object) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_too_little_memory_names_what_can_be_lowered(load: Load) -> None:
    generator = load(vae_batch=2)
    generator._unet = Exhausted()
    message = refusal(lambda: generator(chunk()), ConfigError)
    assert "data.resolution=64, generate.vae_batch=2" in message


def test_a_frame_that_comes_twice_has_one_mouth(load: Load) -> None:
    crops, audio = chunk().crops[[0, 1, 2, 1]], chunk().audio[[0, 1, 2, 1]]
    generator = load()
    plain = generator(Chunk(0, crops, audio))
    filled = generator(Chunk(0, crops, audio, np.array([7, 8, 9, 8])))
    torch.testing.assert_close(filled[:3], plain[:3], rtol=0, atol=BIT_NOISE)
    assert torch.equal(filled[1], filled[3])
    assert not torch.equal(plain[1], plain[3]), "each place has a noise of its own"


@pytest.mark.parametrize(
    "wrong",
    [
        chunk(frames=17),
        Chunk(0, torch.zeros(2, 3, 32, 32), torch.zeros(2, 50, 384)),
        Chunk(0, torch.zeros(2, 3, 64, 64), torch.zeros(1, 50, 384)),
        Chunk(0, torch.zeros(2, 3, 64, 64), torch.zeros(2, 50, 768)),
    ],
    ids=["too long", "too small", "too little sound", "another encoder's sound"],
)
def test_a_chunk_of_the_wrong_shape_is_a_mistake(plain: LipGenerator, wrong: Chunk) -> None:
    with pytest.raises(ValueError, match="chunk"):
        plain(wrong)


def test_a_mask_of_another_size_is_a_mistake(configured: Callable[..., Config]) -> None:
    with pytest.raises(ValueError, match="mask"):
        load_generator(configured(), REFERENCE, mask=np.zeros((32, 32), np.float32))
