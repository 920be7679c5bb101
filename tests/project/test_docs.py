"""README.md, CONTRIBUTING.md and docs/: commands, flags, links and examples work as written."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from latentsync.commands import (
    cache,
    download,
    evaluate,
    inference,
    jobs,
    provenance,
    run_jobs,
)
from latentsync.pipeline.watermark import load_watermark
from latentsync.restoration.base import Restorer, load_restorer
from latentsync.runtime.execution import REFERENCE
from latentsync.settings.load import load_config
from latentsync.settings.schema import OutputConfig, RestoreConfig
from latentsync.types import Frame
from latentsync.weights.manifest import MODEL_FILES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
CLI = (ROOT / "docs" / "cli.md").read_text("utf-8")
PROVENANCE = (ROOT / "docs" / "provenance.md").read_text("utf-8")
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / name / "README.md" for name in ("assets", "benchmarks", "checkpoints")),
    )
)

DOWNLOAD = r"latentsync download|python -m scripts\.download"
INFERENCE = r"latentsync|python -m scripts\.inference|python inference\.py"
COMMAND = re.compile(rf"^ *(?:(?P<download>{DOWNLOAD})|{INFERENCE})(?P<words> -.*)$", re.MULTILINE)


def commands(text: str) -> list[tuple[bool, list[str]]]:
    """Every command line of a document: whether it is the download command, and its arguments."""
    return [
        (found["download"] is not None, shlex.split(found["words"], comments=True))
        for found in COMMAND.finditer(text.replace("\\\n", " "))
    ]


COMMANDS = [
    pytest.param(is_download, words, id=f"{name}: {' '.join(words)}")
    for name in DOCUMENTS
    for is_download, words in commands((ROOT / name).read_text("utf-8"))
]


def flags(parser: argparse.ArgumentParser) -> set[str]:
    """Every spelling of every flag, with underscores; those of its actions as well."""
    found = {alike(flag) for action in parser._actions for flag in action.option_strings}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found = found.union(*map(flags, action.choices.values()))
    return found


def alike(flag: str) -> str:
    """The commands read hyphens and underscores inside a flag as the same."""
    dashes = len(flag) - len(flag.lstrip("-"))
    return flag[:dashes] + flag[dashes:].replace("-", "_")


def section(text: str, heading: str) -> str:
    """From a heading of the second level to the next one."""
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


def flags_in_tables(text: str) -> set[str]:
    cells = re.findall(r"^\| (`-.*?) \|", text, re.MULTILINE)
    return {alike(flag) for cell in cells for flag in re.findall(r"`(-[\w-]+)", cell)}


def anchors(text: str) -> set[str]:
    """What a link to each heading ends with, as code hosts make it."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(document: str, text: str) -> list[str]:
    """Relative links of the text, standing in that document, to no file or to no heading of it."""
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", text)
    return [link for link in links if not leads_somewhere(document, link)]


def leads_somewhere(document: str, link: str) -> bool:
    name, _, heading = link.partition("#")
    target = (ROOT / document).parent / name if name else ROOT / document
    return target.exists() and (not heading or heading in anchors(target.read_text("utf-8")))


def missing_modules(text: str) -> list[str]:
    """Python files that the text names (not as "New `file`") and that do not exist."""
    there = [f"/{path.relative_to(ROOT).as_posix()}" for path in ROOT.glob("[!.]*/**/*.py")]
    there += [f"/{path.name}" for path in ROOT.glob("*.py")]
    named = re.findall(r"(?<!New )`((?:[\w.]+/)*\w+\.py)`", text)
    return [name for name in named if not any(path.endswith(f"/{name}") for path in there)]


def test_there_are_commands_to_read() -> None:
    assert len(COMMANDS) >= 18


@pytest.mark.parametrize(("is_download", "words"), COMMANDS)
def test_a_command_has_flags_and_settings_that_exist(is_download: bool, words: list[str]) -> None:
    parser = download.build_parser() if is_download else inference.build_parser()
    options = parser.read(words)
    flags = {"restore.name": options.superres, "input.audio": getattr(options, "audio", None)}
    load_config(options.config, options.overrides, flags=flags)


@pytest.mark.parametrize(
    ("heading", "parser"),
    [
        ("`latentsync`", inference.build_parser()),
        ("`latentsync download`", download.build_parser()),
        ("`latentsync evaluate`", evaluate.build_parser()),
        ("`latentsync provenance`", provenance.build_parser()),
        ("`latentsync batch`", run_jobs.build_parser()),
        ("`latentsync jobs`", jobs.build_parser()),
        ("`latentsync cache`", cache.build_parser()),
    ],
    ids=["inference", "download", "evaluate", "provenance", "batch", "jobs", "cache"],
)
def test_every_flag_is_in_the_command_line_reference_and_the_other_way_round(
    heading: str, parser: argparse.ArgumentParser
) -> None:
    assert flags_in_tables(section(CLI, heading)) == flags(parser)


def test_the_readme_names_no_flag_that_does_not_exist() -> None:
    assert flags_in_tables(README) and flags_in_tables(README) <= flags(inference.build_parser())


def test_the_exit_codes_are_in_the_command_line_reference() -> None:
    from latentsync.commands import console

    known = {console.DONE, console.USER_ERROR, console.INTERRUPTED, console.TERMINATED, 1}
    rows = re.findall(r"^\| (\d+) \|", section(CLI, "Exit codes"), re.MULTILINE)
    assert {int(code) for code in rows} == known


def python_examples() -> Iterator[tuple[str, str]]:
    for name in DOCUMENTS:
        text = (ROOT / name).read_text("utf-8")
        for code in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            yield name, code


@pytest.mark.parametrize(("name", "code"), python_examples())
def test_a_python_example_is_python(name: str, code: str) -> None:
    compile(code, name, "exec")


def test_the_example_restorer_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.search(r"```python\n(\"\"\"my_restorer\.py.*?)```", CONTRIBUTING, re.DOTALL)
    assert code is not None
    (tmp_path / "my_restorer.py").write_text(code[1], "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    restorer = load_restorer(RestoreConfig(name="my_restorer:load"), REFERENCE)
    faces = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) - 0.5
    restored = restorer(faces)
    assert isinstance(restorer, Restorer)
    assert restored.shape == faces.shape and restored.std() > faces.std()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_the_example_watermark_is_one(
    kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = re.search(r"```python\n(\"\"\"my_watermark\.py.*?)```", PROVENANCE, re.DOTALL)
    assert code is not None
    (tmp_path / "my_watermark.py").write_text(code[1], "utf-8")
    monkeypatch.chdir(tmp_path)
    watermark = load_watermark(OutputConfig(watermark="my_watermark:load"))
    assert watermark is not None
    before = Frame(0, 0.0, 0, np.full((40, 60, 3), np.iinfo(kind).max, kind))
    levels = np.unique(watermark(before).pixels.astype(int) - before.pixels)
    assert levels.tolist() == [-(np.iinfo(kind).max // 255), 0]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_relative_links_lead_to_a_file_and_a_heading(document: str) -> None:
    assert dead_links(document, (ROOT / document).read_text("utf-8")) == []


def test_a_dead_link_is_noticed() -> None:
    text = "[a](nowhere.md) [b](docs/cli.md#no-such-heading) [c](docs/cli.md#exit-codes) [d](#use)"
    assert dead_links("README.md", text) == ["nowhere.md", "docs/cli.md#no-such-heading", "#use"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_module_that_a_document_names_is_there(document: str) -> None:
    own = {"my_restorer.py", "my_watermark.py", "utils.py"}  # the reader's, and none at all
    assert set(missing_modules((ROOT / document).read_text("utf-8"))) <= own


def test_a_module_that_is_not_there_is_noticed() -> None:
    text = "`face/detector.py`, `latentsync/face/nobody.py`; New `latentsync/face/future.py`"
    assert missing_modules(text) == ["latentsync/face/nobody.py"]


def test_every_python_that_is_promised_is_resolved_and_tested() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    first, end = (
        int(minor) for minor in re.findall(r'python = ">=3\.(\d+),<3\.(\d+)"', project)[0]
    )
    versions = [f"3.{minor}" for minor in range(first, end)]
    make = (ROOT / "Makefile").read_text()
    assert f"VERSIONS := {' '.join(versions)}\n" in make
    assert f"not (3, {first}) <= sys.version_info[:2] < (3, {end})" in make
    named = f"Python {', '.join(versions[:-1])} or {versions[-1]}"
    assert named in make and named in README


def test_the_tables_of_weights_state_the_manifest_s_sizes() -> None:
    table = (ROOT / "checkpoints" / "README.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\S+)` \| ([\d,]+) \|", table, re.MULTILINE))
    wanted = {model.places[0]: f"{model.bytes:,}" for model in MODEL_FILES.values()}
    stated = {next(p for p in wanted if p.endswith(name)): size for name, size in rows.items()}
    assert stated == wanted
