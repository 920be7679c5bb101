"""The text of --help agrees with the settings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from argparse import SUPPRESS
from operator import attrgetter
from pathlib import Path

import pytest

from CodeFormer import restorer as codeformer
from GFPGAN import restorer as gfpgan
from latentsync.commands import download, evaluate, inference
from latentsync.commands.console import Parser
from latentsync.commands.installed import OTHERS
from latentsync.generate.table import GENERATORS
from latentsync.restoration.base import RESTORERS
from latentsync.settings.checks import RANGES
from latentsync.settings.presets import PRESETS
from latentsync.settings.schema import Config

PARSERS = [inference.build_parser(), download.build_parser()]
DEFAULTS = {"steps": "generate.steps", "guidance": "generate.guidance", "seed": "generate.seed"}


def help_of(parser: Parser, dest: str) -> str:
    (text,) = (action.help for action in parser._actions if action.dest == dest)
    assert text is not None
    return text


@pytest.mark.parametrize(
    "parser", [*PARSERS, evaluate.build_parser()], ids=lambda parser: parser.prog
)
def test_every_flag_has_a_help_text(parser: Parser) -> None:
    assert all(action.help and action.help is not SUPPRESS for action in parser._actions)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_every_restorer_and_generator_is_named(parser: Parser) -> None:
    assert all(name in help_of(parser, "superres") for name in (*RESTORERS, "none"))
    assert all(name in help_of(parser, "generator") for name in GENERATORS)


def test_every_preset_is_named() -> None:
    assert all(name in help_of(PARSERS[0], "preset") for name in PRESETS)


@pytest.mark.parametrize("dest", DEFAULTS)
def test_a_default_that_is_stated_is_the_default(dest: str) -> None:
    stated = re.search(r"default ([\d.]+)\b", help_of(PARSERS[0], dest))
    assert stated is not None
    assert float(stated[1]) == attrgetter(DEFAULTS[dest])(Config())


def test_the_range_of_guidance_is_that_of_the_setting() -> None:
    low, high = RANGES["generate.guidance"]
    assert re.search(
        rf"\b{low:g} \(off, half the time\) to {high:g};", help_of(PARSERS[0], "guidance")
    )


def test_the_fidelity_of_each_network_is_stated_as_it_is() -> None:
    stated = help_of(PARSERS[0], "fidelity_weight")
    assert f"0 to 1 for GFPGAN (default {gfpgan.DEFAULT_FIDELITY})" in stated
    highest, default = codeformer.HIGHEST_FIDELITY, codeformer.DEFAULT_FIDELITY
    assert f"0 to {highest} for CodeFormer (default {default})" in stated


ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("[!_]*.py"))
SLOW = {"torch", "numpy", "scipy", "cv2", "av", "PIL", "openvino", "omegaconf", "tqdm", "gradio"}
"""Packages that take a moment to import; help is to be there in 0.3 s."""
LOADED = """
import json, runpy, sys
sys.argv = [sys.argv[1], "--help"]
try:
    runpy.run_module(sys.argv[0], run_name="__main__")
except SystemExit:
    print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize("module", [f"scripts.{name}" for name in SCRIPTS])
def test_help_is_there_at_once(module: str) -> None:
    line = [sys.executable, "-c", LOADED, module]
    done = subprocess.run(line, capture_output=True, text=True, check=True, cwd=ROOT)
    *said, last = done.stdout.splitlines()
    assert said[0].startswith("usage: ")
    assert SLOW.isdisjoint(json.loads(last))


def test_the_installed_command_loads_only_what_it_runs() -> None:
    code = "import sys, latentsync.commands.installed; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(done.stdout.split())
    assert "latentsync.commands.installed" in loaded
    assert loaded.isdisjoint(
        f"latentsync.commands.{name}" for name in (*OTHERS.values(), "inference")
    )
