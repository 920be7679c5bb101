"""A small wheel with made-up models, in a folder that pip takes packages from, and no other."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

from latentsync.weights.known_licences import APACHE
from latentsync.weights.model_file import ModelFile, ReleaseFile, WheelFile

PACKAGE, VERSION = "madeupmodels", "1.2"
MEMBERS = {
    f"{PACKAGE}/deep/{name}": name.encode() * 30_000 for name in ("eye.tflite", "ear.tflite")
}


def write_wheel(folder: Path, members: Mapping[str, bytes] = MEMBERS) -> Path:
    """For Python 3.11 on Linux, as the real one is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{PACKAGE}-{VERSION}-cp311-cp311-manylinux_2_17_x86_64.whl"
    about = f"{PACKAGE}-{VERSION}.dist-info"
    tag = "Tag: cp311-cp311-manylinux_2_17_x86_64"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {VERSION}\n"
        )
        archive.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\n{tag}\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


def model_in_wheel(member: str, *urls: str, content: bytes | None = None) -> ModelFile:
    """An entry as the manifest has them: the URLs come before the wheel."""
    content = MEMBERS[member] if content is None else content
    name = member.rpartition("/")[2]
    return ModelFile(
        key=name,
        filename=name,
        places=(f"checkpoints/face/{name}",),
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        sources=(*map(ReleaseFile, urls), WheelFile(PACKAGE, VERSION, member, 600_000)),
        licence=APACHE,
        needed_by="a test",
        setting="weights.folders",
    )
