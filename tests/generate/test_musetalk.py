"""The MuseTalk generator, from weights files to the mouths of a chunk, on a tiny network."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from latentsync.errors import CheckpointError
from latentsync.generate import coding
from latentsync.generate.base import Boxed, Footage, LipGenerator, Preparing, Reconstructing
from latentsync.generate.musetalk.generator import CHUNK, SIZE, MuseTalk
from latentsync.generate.musetalk.network import UNetInOneStep, load_unet
from latentsync.generate.musetalk.one_step import inputs, predict
from latentsync.generate.table import generator_kind, load_generator
from latentsync.generate.vae import load_vae
from latentsync.runtime.execution import REFERENCE, Execution
from latentsync.settings.schema import Config, GenerateConfig
from latentsync.types import Chunk
from latentsync.weights.load import read_state_dict
from latentsync.weights.manifest import MUSETALK, VAE, WHISPER_TINY
from tests.generate.conftest import refusal, request
from tests.support.plans import alignment_of
from tests.support.tiny_latentsync import write_unet
from tests.support.tiny_musetalk import write_tiny_musetalk

FRAMES = 2
BIT_NOISE = 1e-5
UNUSED = np.zeros((SIZE, SIZE), np.float32)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return write_tiny_musetalk(tmp_path_factory.mktemp("tiny"))["generate"]


def loaded(settings: dict[str, Any], execution: Execution = REFERENCE, **more: Any) -> MuseTalk:
    config = Config(generate=GenerateConfig(**(settings | more)))
    generator = load_generator(config, execution, mask=UNUSED)
    assert isinstance(generator, MuseTalk)
    return generator


@pytest.fixture(scope="module")
def generator(settings: dict[str, Any]) -> MuseTalk:
    return loaded(settings)


def chunk(frames: int = FRAMES, numbers: Any = ()) -> Chunk:
    g = torch.Generator().manual_seed(0)
    crops = torch.rand(frames, 3, SIZE, SIZE, generator=g) * 2 - 1
    audio = torch.randn(frames, 50, 384, generator=g)
    return Chunk(0, crops, audio, np.array(numbers, np.int64))


@pytest.fixture(scope="module")
def made(generator: MuseTalk) -> Tensor:
    return generator(chunk())


def test_a_chunk_is_what_the_functions_make_of_it(
    made: Tensor, settings: dict[str, Any], generator: MuseTalk
) -> None:
    given = chunk()
    vae = load_vae(Path(settings["vae"]) / "diffusion_pytorch_model.safetensors", REFERENCE)
    unet = load_unet(Path(settings["checkpoint"]), REFERENCE)
    latents = inputs(vae, given.crops, coding.encode(vae, given.crops))
    expected = coding.decode(vae, predict(unet, latents, given.audio))
    torch.testing.assert_close(made, expected, rtol=0, atol=BIT_NOISE)
    assert (made.dtype, made.shape) == (torch.float32, given.crops.shape)
    kinds = (LipGenerator, Preparing, Boxed, Reconstructing)
    assert all(isinstance(generator, kind) for kind in kinds)


def test_the_mouth_depends_on_the_audio_and_on_the_frame_s_upper_half_alone(
    generator: MuseTalk, settings: dict[str, Any], made: Tensor
) -> None:
    given = chunk()
    other = generator(replace(given, audio=given.audio.flip(0)))
    assert (other - made).abs().max() > 0.01
    speaking = prepared(generator, {0: 2, 1: 2})
    first = speaking(replace(given, frames=np.array([0, 1])))
    lips = given.crops.clone()
    lips[:, :, SIZE // 2 :] *= -1
    assert torch.equal(speaking(replace(given, crops=lips, frames=np.array([0, 1]))), first)
    brow = given.crops.clone()
    brow[:, :, : SIZE // 2] *= -1
    assert not torch.equal(speaking(replace(given, crops=brow, frames=np.array([0, 1]))), first)


def test_padding_is_generated_once(generator: MuseTalk, monkeypatch: pytest.MonkeyPatch) -> None:
    padded = chunk(3, [4, 5, 4])
    padded.crops[2], padded.audio[2] = padded.crops[0], padded.audio[0]
    given: list[int] = []
    decode = generator._vae.decode
    monkeypatch.setattr(generator._vae, "decode", lambda z: (given.append(len(z)), decode(z))[1])
    made = generator(padded)
    assert sum(given) == 2
    assert torch.equal(made[0], made[2]) and not torch.equal(made[0], made[1])


def test_a_frame_does_not_depend_on_its_chunk(generator: MuseTalk, made: Tensor) -> None:
    alone = generator(Chunk(7, chunk().crops[1:], chunk().audio[1:]))
    torch.testing.assert_close(alone[0], made[1], rtol=0, atol=3e-4)  # another order of sums


class Shades:
    """A video of three frames in which the crop of frame i is one shade, i / 4."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def crops(self, numbers: np.ndarray, size: int) -> Iterator[Tensor]:
        for number in numbers:
            self.read.append(int(number))
            yield torch.full((3, size, size), float(number) / 4)


def prepared(
    generator: MuseTalk, chosen: dict[int, int], video: Any = None, source: Any = (0, 1)
) -> MuseTalk:
    """For a video with those references."""
    video = video or Shades()
    alignments = [alignment_of(0) for _ in range(3)]
    nothing: Any = None
    footage = Footage("video", alignments, np.arange(3) / 25, *(nothing,) * 4, crops=video.crops)
    of_chunks = np.zeros(len(source), np.int64)
    given = replace(request([2]), video=footage, source=np.array(source), chunks=of_chunks)
    with pytest.MonkeyPatch.context() as patch:
        where = "latentsync.generate.musetalk.generator.choose_references"
        patch.setattr(where, lambda *_: chosen)
        return generator.prepare(given)


def test_each_reference_is_read_and_encoded_once(
    generator: MuseTalk, monkeypatch: pytest.MonkeyPatch
) -> None:
    video, encoded = Shades(), []
    encode = generator._vae.encode
    monkeypatch.setattr(generator._vae, "encode", lambda x: (encoded.append(len(x)), encode(x))[1])
    speaking = prepared(generator, {0: 2, 1: 2}, video, source=[0, 1, 1, 0])
    first = speaking(replace(chunk(), frames=np.array([0, 1])))
    again = speaking(replace(chunk(), frames=np.array([3, 2])))
    assert video.read == [2]
    assert sum(encoded) == 2 + 1 + 2, "each frame once, and the reference"
    torch.testing.assert_close(first, again, rtol=0, atol=3e-4)
    others = prepared(generator, {0: 1, 1: 0}, video)(replace(chunk(), frames=np.array([0, 1])))
    assert not torch.allclose(first, others, atol=0.01)


def test_only_the_latest_references_are_kept(
    generator: MuseTalk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latentsync.generate.musetalk.generator.KEPT", 1)
    video = Shades()
    references = prepared(generator, {0: 1, 1: 2}, video)._references
    assert references is not None
    for number in (0, 1, 1, 0):
        assert references(np.array([number])).shape[0] == 1
    assert video.read == [1, 2, 1]
    assert len(references(np.array([0, 1]))) == 2, "more than are kept, at once"


def test_a_video_is_let_go_with_the_generator_that_was_prepared_for_it(
    generator: MuseTalk,
) -> None:
    gc.collect()
    gc.disable()
    try:
        video = Shades()
        kept = weakref.ref(video)
        speaking = prepared(generator, {0: 2, 1: 2}, video)
        del video
        assert kept() is not None
        del speaking
        assert kept() is None, "a cycle would keep the open video until garbage is collected"
    finally:
        gc.enable()


def test_openvino_and_bf16_are_near(settings: dict[str, Any], made: Tensor) -> None:
    path, side = Path(settings["checkpoint"]), 8
    latents = torch.randn(FRAMES, 8, side, side, generator=torch.Generator().manual_seed(0))
    graph = load_unet(path, replace(REFERENCE, backend="openvino", threads=1))
    graph.prepare(side, CHUNK)  # the VAE's is LatentSync's
    predicted = [
        predict(unet, latents, chunk().audio) for unet in (graph, load_unet(path, REFERENCE))
    ]
    torch.testing.assert_close(*predicted, rtol=0, atol=1e-3)
    coarse = loaded(settings, replace(REFERENCE, dtype=torch.bfloat16))(chunk())
    assert 0 < (coarse - made).abs().mean() < 0.1


@pytest.mark.parametrize("spoiled", [lambda one: one.crops.__setitem__(0, torch.nan)], ids=["NaN"])
def test_a_mouth_that_is_no_number_is_refused(
    generator: MuseTalk, spoiled: Callable[[Chunk], None]
) -> None:
    given = chunk()
    spoiled(given)
    assert "NaN" in refusal(lambda: generator(given), CheckpointError)


def test_chunks_of_other_shapes_are_refused(generator: MuseTalk) -> None:
    given = chunk()
    for wrong in (
        replace(given, crops=given.crops[..., ::2]),
        replace(given, audio=given.audio[:, :-1]),
        replace(given, crops=given.crops[:0], audio=given.audio[:0]),
    ):
        with pytest.raises(ValueError, match="not \\("):
            generator(wrong)


class Recorded(UNetInOneStep):
    """Notes how many frames the network is given."""

    def __init__(self, backend: str) -> None:
        execution = replace(REFERENCE, backend=backend)
        networks: Any = SimpleNamespace(execution=execution, part=self._part, release=lambda: None)
        super().__init__(networks)
        self.batches: list[int] = []

    def _part(self, _part: object, *_examples: Tensor) -> Any:
        return lambda latents, _audio: (self.batches.append(len(latents)), (latents[:, :4],))[1]


@pytest.mark.parametrize(("backend", "batches"), [("torch", [3]), ("openvino", [1, 1, 1])])
def test_a_short_chunk_has_the_shape_that_the_backend_wants(
    backend: str, batches: list[int]
) -> None:
    for name, expected in ((backend, batches), ("compile", [CHUNK])):
        unet = Recorded(name)
        unet.prepare(4, CHUNK)
        latents = torch.arange(3.0)[:, None, None, None].expand(3, 8, 4, 4)
        assert torch.equal(unet(latents, torch.zeros(3, 50, 384)), latents[:, :4])
        assert unet.batches == expected


# Weights


def test_it_needs_three_files(settings: dict[str, Any]) -> None:
    kind = generator_kind(Config(generate=GenerateConfig(name="MuseTalk", checkpoint="a.pth")))
    config = Config(generate=GenerateConfig(name="musetalk", checkpoint="a.pth"))
    wanted = [(WHISPER_TINY, None), (MUSETALK, "a.pth"), (VAE, None)]
    assert kind.weights(config) == wanted
    assert (kind.size(config), kind.network) == (SIZE, True)
    assert MUSETALK.bytes == 3_400_074_924
    assert "OpenRAIL-M" in str(MUSETALK.licence) and "any purpose" in str(MUSETALK.licence)


def test_a_file_that_is_not_complete_or_of_another_network_is_refused(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    state = read_state_dict(Path(settings["checkpoint"]))
    about = Path(settings["checkpoint"]).with_name("musetalk.json").read_text()
    (tmp_path / "musetalk.json").write_text(about)
    missing = tmp_path / "unet.pth"
    torch.save({key: value for key, value in state.items() if key != "conv_out.bias"}, missing)
    message = refusal(lambda: load_unet(missing, REFERENCE), CheckpointError)
    assert "missing: conv_out.bias" in message
    other = write_unet(tmp_path / "other.pt")
    message = refusal(lambda: load_unet(other, REFERENCE), CheckpointError)
    assert "U-Net of LatentSync" in message and "MuseTalk 1.5 is wanted" in message


def test_a_description_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "unet.pth"
    (tmp_path / "musetalk.json").write_text('{"cross_attention_dim": 768}')
    assert "use 384" in refusal(lambda: load_unet(path, REFERENCE), CheckpointError)
    (tmp_path / "musetalk.json").write_text("[")
    assert "musetalk.json" in refusal(lambda: load_unet(path, REFERENCE), CheckpointError)


def test_a_chunk_is_no_longer_than_a_batch_of_the_u_net(generator: MuseTalk) -> None:
    assert (generator.size, generator.chunk_frames) == (SIZE, CHUNK) == (256, 8)
