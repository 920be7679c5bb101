"""What ``pip install .`` installs, from the wheel that is built for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import latentsync

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "latentsync",
    "GFPGAN",
    "CodeFormer",
    "configs",
    "assets",
    "scripts",
    "benchmarks",
    "tests",
)
FILES = ("pyproject.toml", "setup.py", "requirements.txt", "README.md", "LICENSE", "inference.py")
NO_SOURCE = shutil.ignore_patterns("__pycache__", "*.pth", "*.pt", "*.safetensors", "golden")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, as building leaves files behind; nothing is fetched."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=NO_SOURCE)
    for name in FILES:
        shutil.copy(ROOT / name, source / name)
    (source / "GFPGAN" / "weights.pth").write_bytes(b"no part of the package")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel"]
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(built)]
    done = subprocess.run(
        [*pip, *options, str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package lies in, as in site-packages."""
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(installed: Path, cwd: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Python in another folder, with the installed package in place of the checkout's."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    search = os.pathsep.join(filter(None, (str(installed), others.get("PYTHONPATH"))))
    environment = others | {"PYTHONPATH": search, "HOME": str(cwd)}
    line = [sys.executable, "-c", code]
    return subprocess.run(
        line, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_nothing_but_the_project_s_own_names_is_installed_at_top_level(installed: Path) -> None:
    about = f"latentsync_restore-{latentsync.__version__}.dist-info"
    assert {path.name for path in installed.iterdir()} == {
        *("latentsync", "GFPGAN", "CodeFormer"),
        about,
    }


def test_all_that_the_library_reads_is_installed(installed: Path) -> None:
    for pattern in ("*.py", "*.json", "*.html", "*.css", "*.js"):
        for name in ("latentsync", "GFPGAN", "CodeFormer"):
            wanted = {path.relative_to(ROOT) for path in (ROOT / name).rglob(pattern)}
            assert {path for path in wanted if not (installed / path).is_file()} == set()
    configs = installed / "latentsync" / "configs"
    shipped = {path.relative_to(configs) for path in configs.rglob("*.*")}
    assert shipped == {
        path.relative_to(ROOT / "configs") for path in ROOT.glob("configs/**/*.yaml")
    }


def test_the_demo_s_inputs_are_installed_where_its_configuration_names_them(
    installed: Path, tmp_path: Path
) -> None:
    code = (
        "from latentsync import load_config\n"
        "given = load_config('demo.yaml').input\n"
        "print(given.video, given.audio, sep='\\n')"
    )
    done = run(installed, tmp_path, code)
    named = [Path(line) for line in done.stdout.splitlines()]
    assert len(named) == 2, done.stderr
    assert all(path.is_file() and path.is_relative_to(installed) for path in named)


def test_no_weights_are_installed(installed: Path) -> None:
    assert list(installed.rglob("*.pth")) == []


def test_the_command_is_called_latentsync(installed: Path) -> None:
    (points,) = installed.glob("*.dist-info/entry_points.txt")
    assert points.read_text().split() == [
        "[console_scripts]",
        *("latentsync", "=", "latentsync.commands.installed:main"),
    ]


def test_the_command_finds_its_configurations_from_any_folder(
    installed: Path, tmp_path: Path
) -> None:
    command = "from latentsync.commands.installed import main; raise SystemExit(main({}))"
    line = ["--config", "replay.yaml", "--input", "none.mp4", "--output", "out.mp4"]
    done = run(installed, tmp_path, command.format(line))
    assert "cannot open the video: none.mp4" in done.stderr
    assert done.returncode == 2


def test_weights_are_put_outside_of_the_package(installed: Path, tmp_path: Path) -> None:
    code = (
        "from latentsync.weights.find import recommended_place\n"
        "from latentsync.weights.manifest import GFPGAN\n"
        "print(recommended_place(GFPGAN))"
    )
    done = run(installed, tmp_path, code)
    assert Path(done.stdout.strip()).is_relative_to(tmp_path), done.stderr
