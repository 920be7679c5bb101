"""Whether requirements.txt can be had for each Python version named, in the versions of
constraints.txt; nothing is installed.

python .ci/resolve.py 3.11 3.12 3.13. Exit code 1: not for one of them. Where the package index
cannot be reached, that is said, and is no failure.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS, CONSTRAINTS = ROOT / "requirements.txt", ROOT / "constraints.txt"
SOURCE_ONLY = "antlr4-python3-runtime==4.9.3"
"""What omegaconf asks for. No wheel of it is published, and for another Python version than its own
pip considers wheels only: one is made first. It is the same for all versions."""
METADATA_ONLY = "pip>=24"
"""Versions before 23.3 fetch every wheel whole, some GB, to say what would be installed."""
UNREACHABLE = re.compile(
    r"Retrying \(Retry|Could not fetch URL|NewConnectionError|NameResolutionError|ConnectTimeout"
    r"|ReadTimeout|ConnectionError|ProxyError"
)
IMPOSSIBLE = re.compile(r"from versions: (?!none)|conflicting dependencies|ResolutionImpossible")
"""The index was reached after all."""


def main(versions: list[str]) -> int:
    if find_spec("pip") is None:
        print("this Python has no pip: not resolved", flush=True)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        needed = (SOURCE_ONLY, METADATA_ONLY)
        said = _pip("-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, *needed)
        for version in versions:
            said = said or _resolved(version, folder)
            if UNREACHABLE.search(said) and not IMPOSSIBLE.search(said):
                print("the package index cannot be reached: not resolved", flush=True)
                return 0
            if said:
                print(f"requirements.txt for Python {version}:\n{said}", file=sys.stderr)
                return 1
            print(f"requirements.txt can be had for Python {version}", flush=True)
    return 0


def _resolved(version: str, wheels: str) -> str:
    (pip,) = Path(wheels).glob("pip-*.whl")
    return _pip(
        *(
            str(pip / "pip"),
            "install",
            "--dry-run",
            "--ignore-installed",
            "--target",
            f"{wheels}/none",
        ),
        *("--python-version", version, "--only-binary=:all:", "--find-links", wheels),
        *("-r", str(REQUIREMENTS), "-c", str(CONSTRAINTS)),
    )


def _pip(*arguments: str) -> str:
    """What it said when it failed, else nothing. arguments: how it is started, then its own."""
    quietly = ("--disable-pip-version-check", "--quiet", "--retries", "2")
    done = subprocess.run(
        [sys.executable, *arguments, *quietly], capture_output=True, text=True, check=False
    )
    return done.stderr.strip() or "pip failed" if done.returncode else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
