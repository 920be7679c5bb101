"""Signs a finished MP4, MOV or picture with C2PA content credentials, and verifies them.

Needs the package c2pa-python, the extra ``[provenance]``; nothing is fetched from a network. The
original becomes the parent of the signed file, and with it the manifests that it carries.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from latentsync.errors import ConfigError, MediaError
from latentsync.media.marks.manifests import (
    INSTALL,
    SETTINGS,
    is_installed,
    media_type,
    one_line,
    read_manifest,
)
from latentsync.media.marks.xmp import SOURCE_TYPES
from latentsync.types import Box

SIGNABLE = (".mp4", ".m4v", ".mov", ".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")

_PNG = "image/png"
_CURVES = {256: b"es256", 384: b"es384", 521: b"es512"}


class Span(NamedTuple):
    """The part of the frame in which something changed, and the seconds of the video; None: it is a
    picture."""

    box: Box
    seconds: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Action:
    """What was done, in C2PA's words. source_type: the last part of IPTC's; spans: where."""

    name: str
    description: str
    source_type: str | None = None
    spans: Sequence[Span] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """Who signs. chain: PEM, the signer's certificate first. key: PEM. algorithm: in C2PA's words.
    program: name and version of what makes the file."""

    chain: bytes
    key: bytes
    algorithm: bytes
    program: tuple[str, str]


def load_identity(certificate: Path, key: Path, program: tuple[str, str]) -> Identity:
    """Reads the files, and signs a tiny image with them. Raises ConfigError where that fails."""
    if not is_installed():
        raise ConfigError("output.sign", "the package c2pa-python is not installed", INSTALL)
    chain, secret = _read("output.sign.cert", certificate), _read("output.sign.key", key)
    identity = Identity(chain, secret, _algorithm(secret, key), program)
    import c2pa

    image, signed = io.BytesIO(_tiny_image()), io.BytesIO()
    try:
        _sign(identity, [Action("c2pa.edited", "a trial")], "trial", (image, signed, _PNG))
    except c2pa.C2paError as error:
        remedy = f"{one_line(error)}; the command provenance make-cert makes some that can"
        raise ConfigError("this certificate and key cannot sign", certificate, remedy) from error
    return identity


def sign(
    path: Path, identity: Identity, actions: Sequence[Action], title: str, parent: Path | None
) -> str:
    """Signs a file in place. parent: what it was made from; None: it is
    its own parent. Returns the state, as verified.

    Raises MediaError: it cannot be signed, or the signature does not hold.
    """
    import c2pa

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=f".part{path.suffix}")
    signed = Path(name)
    try:
        with path.open("rb") as source, os.fdopen(handle, "w+b") as target:
            _sign(identity, actions, title, (source, target, media_type(source)), parent)
        state = read_manifest(signed).state
        if state not in ("Valid", "Trusted"):
            raise MediaError("the signature does not hold", path, f"C2PA calls it {state}")
        shutil.copymode(path, signed)
        os.replace(signed, path)  # noqa: PTH105
        return state
    except (c2pa.C2paError, OSError) as error:
        remedy = f"{one_line(error)}; leave out output.sign, or try another certificate"
        raise MediaError("the video cannot be signed", path, remedy) from error
    finally:
        signed.unlink(missing_ok=True)


def _sign(
    identity: Identity,
    actions: Sequence[Action],
    title: str,
    files: tuple[BinaryIO, BinaryIO, str],
    parent: Path | None = None,
) -> None:
    """files: what is signed, where the signed file is written, and their media type."""
    import c2pa

    source, target, kind = files
    signer_info = c2pa.C2paSignerInfo(identity.algorithm, identity.chain, identity.key, None)
    with (
        c2pa.Context.from_dict(SETTINGS) as context,
        c2pa.Signer.from_info(signer_info) as signer,
        c2pa.Builder(json.dumps(_definition(identity, actions, title)), context) as builder,
    ):
        builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
        if parent is not None:
            with parent.open("rb") as original:
                about = {"title": parent.name, "relationship": "parentOf"}
                builder.add_ingredient(about, media_type(original), original)
        builder.sign(signer, kind, source, target)


def _definition(identity: Identity, actions: Sequence[Action], title: str) -> dict[str, Any]:
    name, version = identity.program
    program = {"name": name, "version": version}
    done = [_as_c2pa(action, program) for action in actions]
    return {
        "claim_generator_info": [program],
        "title": title,
        "assertions": [{"label": "c2pa.actions", "data": {"actions": done}}],
    }


def _as_c2pa(action: Action, program: Mapping[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "action": action.name,
        "softwareAgent": program,
        "parameters": {"description": action.description},
    }
    if action.source_type is not None:
        made["digitalSourceType"] = SOURCE_TYPES + action.source_type
    if action.spans:
        made["changes"] = [_region(span) for span in action.spans]
    return made


def _region(span: Span) -> dict[str, Any]:
    box = span.box
    rectangle = {
        "type": "rectangle",
        "unit": "pixel",
        "origin": {"x": float(box.x0), "y": float(box.y0)},
        "width": float(box.x1 - box.x0),
        "height": float(box.y1 - box.y0),
    }
    place = {"type": "spatial", "shape": rectangle}
    if span.seconds is None:
        return {"region": [place]}
    start, end = (f"{second:.3f}" for second in span.seconds)
    return {
        "region": [
            {"type": "temporal", "time": {"type": "npt", "start": start, "end": end}},
            place,
        ]
    }


def _algorithm(secret: bytes, path: Path) -> bytes:
    """Of a private key, in C2PA's words. Raises ConfigError."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    try:
        key = serialization.load_pem_private_key(secret, None)
    except (ValueError, TypeError) as error:  # TypeError: it is encrypted
        remedy = f"{one_line(error)}; give a private key in PEM, not encrypted"
        raise ConfigError("output.sign.key", path, remedy) from error
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size in _CURVES:
        return _CURVES[key.curve.key_size]
    if isinstance(key, rsa.RSAPrivateKey):
        return b"ps256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return b"ed25519"
    raise ConfigError("output.sign.key", path, "use a P-256, P-384, P-521, RSA or Ed25519 key")


def _read(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(setting, path, f"{error.strerror}; check the path") from error


def _tiny_image() -> bytes:
    """A PNG of one black pixel."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0\0")
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
