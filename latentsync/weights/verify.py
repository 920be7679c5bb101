"""Verifies by its hash, computed once and stored, that a weights file is the published one."""

from __future__ import annotations

import logging
from pathlib import Path

from latentsync.errors import CheckpointError
from latentsync.weights import record
from latentsync.weights.convert import made_from
from latentsync.weights.manifest import MODEL_FILES
from latentsync.weights.model_file import ModelFile

logger = logging.getLogger(__name__)

LONG = 1_000_000_000  # bytes from which hashing is logged


def origin_sha256(path: Path) -> str:
    """sha256 of the file, or of the file that it was converted from."""
    origin = made_from(path)
    if origin is not None:
        return origin
    return record.sha256(path)


def published_as(path: Path) -> ModelFile | None:
    """The published file with the same hash; None: there is none."""
    digest = origin_sha256(path)
    return next((model for model in MODEL_FILES.values() if model.sha256 == digest), None)


def verify(model: ModelFile, path: Path) -> None:
    """Compares the file's hash with the published ones before it is used.

    Raises CheckpointError where it is the published file of another model. An unknown file is
    allowed, as it can hold no code and its keys are checked; a warning is logged once.
    """
    if path.stat().st_size >= LONG and record.first_time(f"looked over {path.resolve()}"):
        logger.info("hashing %s (first use)", path)
    published = published_as(path)
    if published is None:
        if record.first_time(f"unknown {path.resolve()} {origin_sha256(path)}"):
            text = "unknown checksum for %s: %s is not the published %s; continuing"
            logger.warning(text, path, origin_sha256(path), model.key)
    elif published.key != model.key:
        value = f"{path} holds {published.key}, {model.key} is wanted"
        remedy = f"name another file by {model.setting}, or the configuration made for this one"
        raise CheckpointError("weights do not fit", value, remedy)
