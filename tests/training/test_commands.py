"""The commands that train, on clips of 32 pixels and without any weights."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from latentsync.models.unet import UNet3DConditionModel
from latentsync.training.loop.checkpoint import checkpoints_of
from tests.support.clips import make_clips
from tests.support.command_process import CommandProcess

ROOT = Path(__file__).parents[2]
ACCEPT_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
UNET = """
data: {train_data_dir: %(clips)s, num_workers: 0, resolution: 32, speech_features: mel}
ckpt: {resume_ckpt_path: "", save_ckpt_steps: 100, vae: pixels}
run: {pixel_space_supervise: false, use_syncnet: false, max_train_steps: 4, inference_steps: 2}
optimizer: {lr: 1e-3}
training: {device: cpu, log_every: 1, cache_dir: %(cache)s, ema: 0.9}
model:
  block_out_channels: [32, 32]
  layers_per_block: 1
  down_block_types: [CrossAttnDownBlock3D, DownBlock3D]
  up_block_types: [UpBlock3D, CrossAttnUpBlock3D]
  attention_head_dim: 4
  cross_attention_dim: 80
"""
SYNCNET = """
data: {train_data_dir: %(clips)s, val_data_dir: %(clips)s, num_workers: 0, resolution: 32,
       num_val_samples: 4, batch_size: 2}
run: {max_train_steps: 2, validation_steps: 1}
ckpt: {save_ckpt_steps: 100}
training: {device: cpu, log_every: 1, cache_dir: %(cache)s}
model:
  audio_encoder:
    {in_channels: 1, block_out_channels: [32, 32], downsample_factors: [[8, 7], [10, 8]]}
  visual_encoder:
    {in_channels: 48, block_out_channels: [32, 32], downsample_factors: [4, [4, 8]]}
"""


Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With clips, and unet.yaml and syncnet.yaml."""
    folder = tmp_path_factory.mktemp("training") / "place"
    (folder / "clips").mkdir(parents=True)
    make_clips(folder / "clips", 2)
    named = {"clips": folder / "clips", "cache": folder / "cache"}
    (folder / "unet.yaml").write_text(UNET % named)
    (folder / "syncnet.yaml").write_text(SYNCNET % named)
    return folder


@pytest.fixture(scope="module")
def process(place: Path) -> Iterator[CommandProcess]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with CommandProcess(ACCEPT_CTRL_C, folder=place, environment=environment) as started:
        yield started


@pytest.fixture
def command(process: CommandProcess) -> Command:
    """Name and arguments -> exit code, all that was said."""

    def run(name: str, *arguments: object) -> tuple[int, str]:
        done = process(f"latentsync.commands.{name}", *arguments)
        return done.returncode, done.stdout + done.stderr

    return run


def test_it_trains_shows_and_goes_on(command: Command, place: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    given = ["--unet_config_path", place / "unet.yaml", "--output", output]
    code, said = command("train_unet", *given, "--dry-run")
    assert code == 0 and not output.exists(), said
    assert "2 clips" in said and "a checkpoint:" in said and "for 4 steps" in said
    code, said = command("train_unet", *given)
    assert code == 0 and "step 4/4: total" in said and "--inference_ckpt_path" in said, said
    (saved,) = checkpoints_of(output)
    weights = saved.read("latentsync_unet.pt")
    assert weights["global_step"] == 4 and "conv_in.weight" in weights["state_dict"]
    assert weights["state_dict"]["conv_out.weight"].any(), "it began as zero"
    assert (output / "previews" / "step-00000004.png").is_file()
    code, said = command("train_unet", *given, "run.max_train_steps=6")
    assert code == 0 and [one.step for one in checkpoints_of(output)] == [4, 6], said
    code, said = command("train_unet", *given, "optimizer.lr=1e-4")
    assert code == 2 and "optimizer.lr is 0.0001, it was 0.001" in said
    assert said.count("\n") == 1, "one line"


def test_stage_2_goes_on_from_stage_1(command: Command, place: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    given = ["--config", place / "unet.yaml", "--output", output, "run.max_train_steps=1"]
    code, said = command("train_unet", *given, "model.use_motion_module=false")
    assert code == 0, said
    start = output / "checkpoints" / "step-00000001" / "latentsync_unet.pt"
    more = [f"ckpt.resume_ckpt_path={start}", "run.max_train_steps=3", "training.ema=0"]
    named = ["run.trainable_modules=[motion_modules., attentions.]"]
    given = ["--config", place / "unet.yaml", "--output", tmp_path / "two", *more, *named]
    code, said = command("train_unet", *given)
    assert code == 0 and "attention over time (" in said, said
    before, after = (
        torch.load(path, weights_only=True)["state_dict"]
        for path in (start, tmp_path / "two/checkpoints/step-00000003/latentsync_unet.pt")
    )
    assert torch.equal(before["conv_in.weight"], after["conv_in.weight"]), "it is not trained"
    moved = [key for key in before if not torch.equal(before[key], after[key])]
    assert moved and all("attentions." in key for key in moved)
    options = {"block_out_channels": [32, 32], "layers_per_block": 1, "attention_head_dim": 4}
    unet = UNet3DConditionModel(
        **options,
        cross_attention_dim=80,
        down_block_types=["CrossAttnDownBlock3D", "DownBlock3D"],
        up_block_types=["UpBlock3D", "CrossAttnUpBlock3D"],
    )
    unet.load_state_dict(after)
    start.unlink()
    code, said = command("train_unet", *given, "run.max_train_steps=4")
    assert code == 0, f"what it goes on from has all weights: {said}"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_saves_and_the_same_command_goes_on(
    process: CommandProcess, command: Command, place: Path, tmp_path: Path, number: int, code: int
) -> None:
    output = tmp_path / "out"
    given = ["--config", place / "unet.yaml", "--output", output, "training.ema=0"]
    log, pid = output / "log.jsonl", process.pid

    def stop() -> None:
        while not log.exists() or log.read_text().count("\n") < 2:
            time.sleep(0.02)
        os.kill(pid, number)

    stopping = threading.Thread(target=stop, daemon=True)
    stopping.start()
    ended, said = command("train_unet", *given, "run.max_train_steps=100000")
    assert ended == code, said
    assert "the same command goes on from here" in said
    (saved,) = checkpoints_of(output)
    ended, said = command("train_unet", *given, f"run.max_train_steps={saved.step + 1}")
    assert ended == 0 and [x.step for x in checkpoints_of(output)][-1] == saved.step + 1, said


def test_what_is_wrong_is_said_in_one_line_before_any_work(
    command: Command, place: Path, tmp_path: Path
) -> None:
    given = ["--config", place / "unet.yaml", "--output", tmp_path / "out"]
    for more, expected in (
        (["--config", tmp_path / "no.yaml"], "configuration file not found"),
        (["data.train_data_dir=nowhere"], "data.train_data_dir: nowhere"),
        (["ckpt.resume_ckpt_path=no.pt"], "ckpt.resume_ckpt_path: no such file: no.pt"),
        (["ckpt.vae=no.safetensors"], "no such file: no.safetensors"),
        (["training.precision=fp16"], "a CPU has no fp16"),
        *([] if torch.cuda.is_available() else [(["training.device=cuda"], "no CUDA GPU here")]),
        (["run.trainable_modules=[atention]"], "atention"),
    ):
        code, said = command("train_unet", *given, *more)
        assert code == 2 and expected in said, (more, said)
        assert [line[:6] for line in said.splitlines()][-1] == "error:"
        assert not (tmp_path / "out").exists()


def test_syncnet_trains_and_is_tried_on_held_out_clips(
    command: Command, place: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    given = ["--config_path", place / "syncnet.yaml", "--output", output]
    code, said = command("train_syncnet", *given)
    assert code == 0 and "accuracy" in said, said
    (saved,) = checkpoints_of(output)[-1:]
    state = saved.read("stable_syncnet.pt")["state_dict"]
    assert any(key.startswith("visual_encoder.") for key in state)
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    found = [line for line in lines if "validation/sync" in line]
    assert [line["step"] for line in found] == [1, 2]
    assert 0 <= found[0]["validation/accuracy"] <= 1 and found[0]["validation/sync"] > 0
