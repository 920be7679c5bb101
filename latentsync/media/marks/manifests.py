"""Reads and verifies the C2PA manifests of a video or a picture.

Needs the package c2pa-python, the extra ``[provenance]``; nothing is fetched from a network.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from latentsync.errors import MediaError
from latentsync.media.boxes import is_iso_media, user_boxes

USER_TYPE = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""Of the uuid box with a file's C2PA manifests."""
INSTALL = "pip install 'c2pa-python==0.38.1' installs it, and so does the extra [provenance]"
_UNKNOWN = "application/octet-stream"
_KINDS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
)
_RIFF = {b"AVI ": "video/avi", b"WEBP": "image/webp"}

SETTINGS: dict[str, Any] = {
    "version": 1,
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {
        "thumbnail": {"enabled": False},
        "created_assertion_labels": ["c2pa.actions"],  # the signer vouches for what was done
    },
}


def is_installed() -> bool:
    return importlib.util.find_spec("c2pa") is not None


def has_manifest(path: Path) -> bool:
    """Whether an MP4 or MOV carries a C2PA manifest. Raises OSError."""
    with path.open("rb") as file:
        return next(user_boxes(file, USER_TYPE), None) is not None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the newest manifest of a file says.

    state: "Valid", "Trusted" (also signed by one of the anchors) or "Invalid". failures: C2PA's
    codes. signer: from the certificate. actions: name, source type, description of each. parents:
    what it was made from, each with its own failures. count: manifests in the file.
    """

    state: str
    failures: tuple[str, ...]
    signer: str
    program: str
    actions: tuple[tuple[str, str, str], ...]
    parents: tuple[tuple[str, tuple[str, ...]], ...]
    count: int


def read_manifest(path: Path, anchors: str | None = None) -> Manifest:
    """Verifies a file's manifests. anchors: PEM, certificates that are trusted as roots.

    Raises MediaError: it has none, or none that can be read. Needs c2pa-python.
    """
    import c2pa

    trust = {} if anchors is None else {"trust": {"user_anchors": anchors}}
    try:
        with (
            path.open("rb") as file,
            c2pa.Context.from_dict({**SETTINGS, **trust}) as context,
            c2pa.Reader(media_type(file), file, context=context) as reader,
        ):
            return _summary(json.loads(reader.json()), reader.get_validation_state() or "Invalid")
    except c2pa.C2paError as error:
        raise MediaError("its C2PA manifest cannot be read", path, one_line(error)) from error


def _summary(store: Mapping[str, Any], state: str) -> Manifest:
    active = store["manifests"][store["active_manifest"]]
    signature, programs = active.get("signature_info", {}), active.get("claim_generator_info", [])
    actions = [
        action
        for assertion in active.get("assertions", [])
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"]["actions"]
    ]
    names = [signature.get("common_name"), signature.get("issuer")]
    return Manifest(
        state=state,
        failures=tuple(status["code"] for status in store.get("validation_status", [])),
        signer=", ".join(dict.fromkeys(filter(None, names))) or "unknown",
        program=" ".join(str(programs[0].get(key, "")) for key in ("name", "version"))
        if programs
        else "unknown",
        actions=tuple(_of_action(action) for action in actions),
        parents=tuple(_of_parent(one) for one in active.get("ingredients", [])),
        count=len(store["manifests"]),
    )


def _of_action(action: Mapping[str, Any]) -> tuple[str, str, str]:
    kind = str(action.get("digitalSourceType", "")).rsplit("/", 1)[-1]
    return action["action"], kind, str(action.get("parameters", {}).get("description", ""))


def _of_parent(ingredient: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    results = ingredient.get("validation_results", {}).get("activeManifest", {})
    codes = tuple(status["code"] for status in results.get("failure", []))
    return str(ingredient.get("title", "unnamed")), codes


def media_type(file: BinaryIO) -> str:
    """By the file's first bytes, of what C2PA knows; it is at its beginning afterwards."""
    iso = is_iso_media(file)
    file.seek(0)
    head = file.read(12)
    file.seek(0)
    if iso:
        return "video/mp4"
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:], _UNKNOWN)
    return next((kind for start, kind in _KINDS if head.startswith(start)), _UNKNOWN)


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())
