"""Other projects' ways get the same faces, paste them to the same place, and are measured alike."""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.__main__ import OF_PEERS, main
from benchmarks.floor import work_of
from benchmarks.peers import facefusion, generators, official, tables, upstream
from benchmarks.peers.contestant import CONTESTANTS, NETWORK, Contestant, Setup, all_in, around
from benchmarks.peers.generators import CACHED, DECODE, ENCODE, UNET, WHOLE
from benchmarks.peers.networks import Weighted, onnx_file, write_onnx
from benchmarks.peers.parse_net import ParseNet
from benchmarks.peers.process import Measured, serve
from benchmarks.peers.rounds import measure
from latentsync.face.composite import composited
from latentsync.face.masks import upstream_mask
from latentsync.generate.musetalk.network import STRUCTURE, make_unet
from latentsync.generate.vae import make_vae
from latentsync.geometry import FFHQ_TEMPLATE, extract, similarity
from latentsync.types import Frame, Patch
from tests.support.tiny_latentsync import MODEL, VAE_CONFIG

SIDE = 512
CROPS = {"facefusion": facefusion.crop, "official": official.crop}
BRIGHTER = 20  # code values that a restored face is brighter than before


def smooth_frame() -> np.ndarray:
    """(720, 960, 3) uint8: structures that linear and cubic sampling show alike."""
    noise = np.random.default_rng(0).integers(0, 256, (720, 960, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 6.0)
    return (60 + (blurred - blurred.min()) / np.ptp(blurred) * 120).astype(np.uint8)


def five_points() -> np.ndarray:
    """(5, 2) float32: a face of the template's shape, turned, and smaller than its square."""
    turn = np.deg2rad(7)
    linear = 0.9 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return (FFHQ_TEMPLATE @ linear.T + [260, 60]).astype(np.float32)


def ours(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """This project's FFHQ square, (512, 512, 3) float32 code values, and its matrix."""
    matrix = similarity(five_points(), FFHQ_TEMPLATE, np.float64)
    square = extract(frame, matrix, (SIDE, SIDE))
    return ((square + 1) * 127.5).permute(1, 2, 0).numpy(), matrix


@pytest.mark.parametrize("name", CROPS)
def test_a_peer_s_network_gets_the_same_face_as_ours(name: str) -> None:
    frame = smooth_frame()
    face, matrix = CROPS[name](frame, five_points())
    expected, own = ours(frame)
    assert np.abs(matrix - own).max() < 0.01
    inside = cv2.warpAffine(np.ones(frame.shape[:2], np.uint8), own, (SIDE, SIDE)) == 1
    difference = np.abs(face - expected)[inside]
    assert difference.mean() < 0.6 and difference.max() < 4


def pasted(name: str, frame: np.ndarray, change: int) -> np.ndarray:
    """The frame with its face restored by a network that makes it brighter."""
    if name == "ours":
        mask = np.zeros((SIDE, SIDE), np.float32)
        mask[100:-100, 100:-100] = 1
        added = torch.full((3, SIDE, SIDE), change / 127.5)
        patch = Patch(added, ours(frame)[1], cv2.GaussianBlur(mask, (0, 0), 9), additive=True)
        return composited(Frame(0, 0.0, 0, frame), [patch]).pixels
    if name == "facefusion":
        return facefusion.enhanced(frame, five_points(), lambda x: x + change / 127.5)
    face, matrix = official.crop(frame, five_points())
    brighter = official.restored(face, lambda x: x + change / 127.5)
    paste = official.paste_parsed if name == "GFPGAN" else official.paste_both
    return paste(frame, brighter, matrix)


@pytest.mark.parametrize("name", ["ours", "facefusion", "GFPGAN", "CodeFormer"])
def test_a_face_comes_back_to_where_it_was(name: str) -> None:
    frame = smooth_frame()
    same = np.abs(pasted(name, frame, 0).astype(int) - frame)
    assert same.mean() < 0.4 and same.max() < 6
    change = pasted(name, frame, BRIGHTER).astype(float) - frame
    x, y = five_points()[2].astype(int)  # the nose: in the middle of every mask
    middle = change[y - 20 : y + 20, x - 20 : x + 20].mean()
    # facefusion mixes 80 % of it; the scripts cut fractions off, half a value in the mean.
    assert middle == pytest.approx(BRIGHTER * (0.8 if name == "facefusion" else 1), abs=1.1)
    assert np.abs(change[:40]).max() == 0


def test_latentsync_s_mask_keeps_the_frame_and_takes_the_generated_mouth() -> None:
    faces = torch.zeros(2, 3, 256, 256)
    seen: list[Tensor] = []

    def generate(whole: Tensor, masked: Tensor, mask: Tensor) -> Tensor:
        seen.extend([masked, mask])
        return torch.ones_like(whole)

    made = upstream.composited(faces - 0.5, generate, 256)
    new = torch.from_numpy(upstream_mask(256).copy())
    assert torch.allclose(made[1, 0], new * 1.5 - 0.5, atol=1e-6)
    assert torch.allclose(seen[0][0, 0], (1 - new) * -0.5, atol=1e-6)
    assert seen[1].shape == (2, 1, 32, 32)


class Tiny(nn.Module):
    """Layers of the restorers, and CodeFormer's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 32, 3, padding=1), nn.GroupNorm(32, 32)
        self.last = nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        detail = nn.functional.silu(self.norm(self.first(x)))
        larger = nn.functional.interpolate(detail, scale_factor=2.0, mode="bilinear")
        return self.last(nn.functional.interpolate(larger, scale_factor=0.5)) * w + x


def test_a_network_gives_the_same_as_onnx(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    network, x = Weighted(Tiny()).eval(), torch.rand(1, 3, 64, 64) * 2 - 1
    path = onnx_file(tmp_path, "tiny")
    write_onnx(network, (x, torch.tensor([0.5], dtype=torch.float64)), path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for weight in (0.5, 1.0):
        (made,) = session.run(None, {"input": x.numpy(), "weight": np.array([weight])})
        with torch.no_grad():
            expected = network(x, torch.tensor([weight], dtype=torch.float64))
        assert np.abs(made - expected.numpy()).max() < 1e-3


def test_the_parsing_network_has_the_published_size() -> None:
    with torch.device("meta"):
        network = ParseNet()
    assert sum(one.numel() for one in network.parameters()) == 21_303_254
    assert len(network.state_dict()) == 238
    assert work_of(ParseNet, (1, 3, SIDE, SIDE)) == pytest.approx(469, rel=0.001)


class Counting:
    """A contestant whose every measurement takes a second longer than the one before."""

    tasks = ("short", "long")

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log, self.count = name, log, 0

    def measure(self, task: str) -> Measured:
        self.log.append(f"{self.name} {task}")
        self.count += 1
        return Measured(self.count, 2 * self.count, 100 * self.count)


def test_rounds_alternate_and_one_always_runs() -> None:
    log: list[str] = []
    names = "ab"
    found = measure({n: Counting(n, log) for n in names}, skip=["long"], rounds=3, seconds=1e9)
    assert log == ["a short", "b short", "b short", "a short", "a short", "b short"]
    assert found["a"]["short"] == Measured(2, 4, 100)  # medians, and the first peak
    log.clear()
    measure({n: Counting(n, log) for n in names}, skip=[], rounds=3, seconds=-1)
    assert log == ["a short", "b short", "a long", "b long"]


def test_a_process_answers_each_task_with_the_time_of_one_frame() -> None:
    answers = io.StringIO()
    work = {"a": lambda: 4, "b": lambda: 1}
    serve(Contestant("about", work), io.StringIO("b\na\n"), answers)
    first, *others = map(json.loads, answers.getvalue().splitlines())
    assert first == {"about": "about", "tasks": ["a", "b"]}
    assert [sorted(one) for one in others] == [["cores", "peak", "seconds"]] * 2


def test_the_table_says_by_how_much_ours_is_faster() -> None:
    def figures(scale: float) -> dict[str, Measured]:
        tasks = (NETWORK, around("1080p"), all_in("1080p"), around("4K"))
        return {task: Measured(scale, 3 * scale, 900) for task in tasks}

    lines = tables.restored({"ours": figures(2), "a peer": figures(5)}).splitlines()
    assert "2.5 (2.5)" in lines[3] and "1080" in lines[3] and "a peer" in lines[3]
    assert "900 MB" in lines[5] and len(lines) == 6


def test_the_passes_of_a_chunk_are_those_of_the_settings() -> None:
    ours = {key.split(":")[0]: (one.whole, one.cached) for key, one in tables.OURS.items()}
    assert ours["default"] == (40, 0)  # a guided step is two passes
    assert ours["preset fast"] == (4, 4)
    assert [(one.whole, one.cached) for one in tables.UPSTREAM.values()] == [(20, 0), (7, 13)]
    tasks = {WHOLE: 16.0, CACHED: 1.6, ENCODE: 1.0, DECODE: 2.0, around("1080p"): 0.5}
    found = {key: Measured(seconds, 0, 0) for key, seconds in tasks.items()}
    assert tables.per_frame(found, tables.Passes(4, 4), 16) == pytest.approx(4 + 0.4 + 4 + 0.5)


@pytest.fixture
def tiny_generators(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Their networks, tiny, at 64 pixels; no clips."""
    unet = partial(generators.UNet3DConditionModel, **MODEL)
    musetalk = STRUCTURE | {"block_out_channels": [32, 64, 64, 64]}
    small = {"SIZE": 64, "SIDE": 8, "CLIPS": (), "WIDTHS": MODEL["block_out_channels"]}
    for name, value in small.items():
        monkeypatch.setattr(generators, name, value)
    monkeypatch.setattr(generators, "UNet3DConditionModel", unet)
    monkeypatch.setattr(generators, "make_vae", partial(make_vae, VAE_CONFIG))
    monkeypatch.setattr(generators, "make_unet", partial(make_unet, musetalk))
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_loops_do_whole_chunks(tiny_generators: None, tmp_path: Path) -> None:
    loop = generators.upstream_latentsync(Setup(tmp_path, 3)).work
    counts = {WHOLE: 1, CACHED: 1, ENCODE: 3, DECODE: 3}
    assert {task: act() for task, act in loop.items()} == counts
    loop = generators.upstream_musetalk(Setup(tmp_path, 16)).work
    assert {task: act() for task, act in loop.items()} == {UNET: 8, ENCODE: 8, DECODE: 8}


def test_every_network_is_compared_with_ours() -> None:
    assert {*CONTESTANTS} == {"gfpgan", "codeformer", *OF_PEERS}
    assert all(next(iter(one)) == "ours" for one in CONTESTANTS.values())


def test_missing_packages_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["--peers"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "benchmarks/requirements-peers.txt" in said


@pytest.mark.parametrize("arguments", [["--quick"], ["--only", "musetalk"]])
def test_what_belongs_to_the_peers_is_refused_elsewhere(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
