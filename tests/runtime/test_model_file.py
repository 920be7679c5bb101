"""A model file runs as it is: exactly, in any number of threads, and never damaged ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from latentsync.errors import CheckpointError
from latentsync.runtime import model_file, openvino
from latentsync.runtime.cache_contents import contents
from latentsync.runtime.model_file import ModelRunner
from latentsync.weights import manifest
from latentsync.weights.find import find

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def path() -> Path:
    return find(manifest.FACE_FINDER)


def inputs(count: int) -> list[np.ndarray]:
    return [RNG.uniform(-1, 1, (1, 128, 128, 3)).astype(np.float32) for _ in range(count)]


def test_it_names_its_shapes_and_returns_all_outputs_in_order(path: Path) -> None:
    runner = ModelRunner(path)
    assert runner.shapes == ((1, 128, 128, 3),)
    assert [one.shape for one in runner(*inputs(1))] == [(1, 896, 16), (1, 896, 1)]


def test_another_shape_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="takes shapes"):
        ModelRunner(path)(np.zeros((1, 64, 64, 3), np.float32))


def test_results_belong_to_the_caller(path: Path) -> None:
    runner, (first, second) = ModelRunner(path), inputs(2)
    kept = runner(first)[0]
    copy = kept.copy()
    runner(second)
    np.testing.assert_array_equal(kept, copy)


def test_four_threads_each_with_an_object_get_what_one_gets(path: Path) -> None:
    given = inputs(40)
    alone = ModelRunner(path)
    expected = [alone(one)[0] for one in given]

    def run(part: int) -> list[np.ndarray]:
        runner = ModelRunner(path)
        return [runner(one)[0] for one in given[part::4]]

    with ThreadPoolExecutor(4) as pool:
        for part, results in enumerate(pool.map(run, range(4))):
            np.testing.assert_array_equal(results, expected[part::4])


def test_a_file_that_is_missing_or_damaged_is_named(path: Path, tmp_path: Path, capfd) -> None:
    whole = path.read_bytes()
    damaged = {"text.tflite": b"<html>" * 99, "short.tflite": whole[: len(whole) // 2]}
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
    for name in (*damaged, "none.tflite"):
        with pytest.raises(CheckpointError, match=name):
            ModelRunner(tmp_path / name)
    assert capfd.readouterr().err == ""


def test_a_replaced_file_is_read_anew(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model.tflite"
    copy.write_bytes(path.read_bytes())
    assert ModelRunner(copy).shapes == ((1, 128, 128, 3),)
    copy.write_bytes(find(manifest.FACE_MESH).read_bytes())
    assert ModelRunner(copy).shapes == ((1, 192, 192, 3),)


def test_what_was_compiled_before_gives_the_same_numbers(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTSYNC_CACHE", str(tmp_path))
    (given,) = inputs(1)
    core = openvino.core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    plain = core.compile_model(core.read_model(path), "CPU", settings)
    expected = list(plain.create_infer_request().infer([given]).to_tuple())
    saved: list[Path] = []
    save = model_file._save
    monkeypatch.setattr(model_file, "_save", lambda one, to: (saved.append(to), save(one, to)))
    for _ in range(2):  # compiled, then read
        monkeypatch.setattr(model_file, "_COMPILED", {})
        for made, wanted in zip(ModelRunner(path)(given), expected, strict=True):
            np.testing.assert_array_equal(made, wanted)
        assert len(saved) == 1
        (compiled,) = model_file._COMPILED.values()
        assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    (kept,) = contents()
    assert str(kept) == f"{path.name}, compiled"


def test_what_was_compiled_before_and_is_damaged_is_compiled_again(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LATENTSYNC_CACHE", str(tmp_path))
    for _ in range(2):
        monkeypatch.setattr(model_file, "_COMPILED", {})
        assert ModelRunner(path).shapes == ((1, 128, 128, 3),)
        (contents()[0].folder / model_file.BLOB).write_bytes(b"damaged")
    assert "damaged" in caplog.text
