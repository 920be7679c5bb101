"""Kept results are used again only where the code that decides is the same, and then always."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from latentsync.settings.load import load_config
from latentsync.training.preparation import deciding, tools
from latentsync.training.preparation.deciding import BEGIN, DECIDES, LEFT_OUT, deciding_files
from latentsync.weights.manifest import (
    FACE_FINDER,
    FACE_MESH,
    HYPERIQA,
    LR_ASD,
    SFACE,
    SMALL_FACE_FINDER,
    SYNCNET,
)
from tests.project.test_architecture import ROOT, files, imports

PACKAGE = ROOT / "latentsync"
MODULES = {name.removeprefix("latentsync."): tree for name, tree in files("latentsync")}


def imported(tree: ast.Module) -> Iterator[str]:
    """Modules of the package, also those of import strings, as the tables of plug-ins have them."""
    names = [name for name, for_annotation in imports(tree) if not for_annotation]
    texts = (one.value for one in ast.walk(tree) if isinstance(one, ast.Constant))
    names += [text.split(":")[0] for text in texts if isinstance(text, str) and ":" in text]
    for name in names:
        module = name.removeprefix("latentsync.")
        if name.startswith("latentsync."):
            yield from (one for one in (module, module.rpartition(".")[0]) if one in MODULES)


def left_out(module: str) -> str | None:
    """The exception that it is."""
    place = module.replace(".", "/")
    whole = (name for name in LEFT_OUT if name.endswith("/") and f"{place}/".startswith(name))
    return place if place in LEFT_OUT else next(whole, None)


def reached(modules: Mapping[str, ast.Module]) -> tuple[set[str], set[str]]:
    """Modules that BEGIN leads to, and the exceptions that were met."""
    found: set[str] = set()
    met: set[str] = set()
    waiting = [name.replace("/", ".") for name in BEGIN]
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        if exception := left_out(module):
            met.add(exception)
            continue
        found.add(module)
        waiting += imported(modules[module])
    return found, met


def data_of(module: str) -> set[str]:
    """Files beside it that it names."""
    folder = PACKAGE.joinpath(*module.split(".")[:-1])
    texts = (one.value for one in ast.walk(MODULES[module]) if isinstance(one, ast.Constant))
    named = (folder / text for text in texts if isinstance(text, str) and text.endswith(".json"))
    return {path.relative_to(PACKAGE).as_posix() for path in named if path.is_file()}


def listed() -> set[str]:
    return {path.as_posix() for path in deciding_files()}


def wanted(modules: Mapping[str, ast.Module]) -> set[str]:
    found = {one for one in reached(modules)[0] if not is_package(one)}
    data = {name for one in found for name in data_of(one)}
    return {f"{one.replace('.', '/')}.py" for one in found} | data


def is_package(module: str) -> bool:
    return PACKAGE.joinpath(*module.split(".")).is_dir()


def test_all_that_the_steps_import_counts_or_is_left_out_for_a_reason() -> None:
    assert sorted(wanted(MODULES) - listed()) == [], "into DECIDES, or LEFT_OUT with the reason"


def test_nothing_else_counts() -> None:
    assert sorted(listed() - wanted(MODULES)) == [], "nothing that decides imports it"
    assert sorted(LEFT_OUT.keys() - reached(MODULES)[1]) == [], "nothing that decides imports it"
    assert all(LEFT_OUT.values())


def test_detection_alignment_shots_offsets_quality_and_thresholds_count() -> None:
    assert listed() >= {
        *("face/detector.py", "face/mesh_tracker.py", "face/align.py", "face/masks.py"),
        *("face/mean_face.json", "speech/mouth_prediction.json", "evaluate/sync/score.py"),
        *(
            f"training/preparation/{name}.py"
            for name in ["shots", "sync", "quality", "settings", "speakers", "clip_file", "record"]
        ),
    }
    for name in ("server", "jobs", "commands", "evaluate/page", "evaluate/text", "pipeline/report"):
        assert not any(one.startswith(name) for one in listed())
    ours = {one for one in listed() if one.startswith("training/preparation")}
    assert not {one for one in ours if Path(one).stem in ("run", "workers", "table", "overview")}


def test_an_import_that_is_forgotten_is_noticed() -> None:
    module = "training.preparation.shots"
    for line in (
        "from latentsync.face.composite import Composite",
        "def later():\n    from latentsync.face import composite",
        "LOADER = 'latentsync.face.composite:load'",
    ):
        changed = {**MODULES, module: ast.parse(line)}
        assert "face/composite.py" in wanted(changed) - listed(), line


def test_the_weights_of_all_networks_that_judge_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find", lambda model, **_: Path(model.key))
    monkeypatch.setattr(tools, "sha256", lambda path: f"hash of {path.name}")
    weights = tools.identity_of(load_config())["weights"]
    networks = {SYNCNET, HYPERIQA, LR_ASD, SFACE, FACE_FINDER, SMALL_FACE_FINDER, FACE_MESH}
    assert {model.key for model in networks} | {"silero"} == weights.keys()
    assert all(text.startswith("hash of ") for text in weights.values())


def test_a_change_of_any_of_the_files_is_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in deciding_files():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / "server").mkdir()
    monkeypatch.setattr(deciding, "PACKAGE", tmp_path)
    fresh = deciding.code_hash.__wrapped__
    before = fresh()
    (tmp_path / "server" / "page.py").write_text("other")
    assert fresh() == before
    for folder in DECIDES:
        changed = next(path for path in deciding_files() if path.parent == Path(folder))
        (tmp_path / changed).write_text("other")
        assert fresh() != before
        (tmp_path / changed).write_text("")
