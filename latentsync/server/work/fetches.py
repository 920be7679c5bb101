"""Fetches weights, and writes copies of videos that browsers play."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from latentsync.media.proxy import write_proxy
from latentsync.server.errors import not_found
from latentsync.server.quick.model_views import model_view
from latentsync.server.work.asked import Asked
from latentsync.server.work.here import Here
from latentsync.weights import licences
from latentsync.weights.ensure import ensure_weights
from latentsync.weights.manifest import MODEL_FILES
from latentsync.weights.model_file import ModelFile

PROXY = "proxy.mp4"


def fetch_of_request(asked: Asked, here: Here) -> dict[str, Any]:
    """See process.py. Raises ApiError: no such model; ConfigError: a licence is not accepted, or
    not known; CheckpointError: a file cannot be fetched, or must not be (offline)."""
    models = [_model(key) for key in asked.arguments["keys"]]
    licences.accept(asked.arguments["accept"])
    total = max(1, sum(model.bytes for model in models))
    done = 0

    @contextmanager
    def progress(title: str, _bytes: int) -> Iterator[Callable[[int], None]]:
        def more(count: int) -> None:
            nonlocal done
            done += count
            asked.reach(done / total, f"fetching {title}")

        yield more

    ensure_weights([(model, None) for model in models], offline=here.offline, progress=progress)
    return {"models": [asdict(model_view(model)) for model in models]}


def proxy_of_request(asked: Asked) -> dict[str, Any]:
    """See process.py. Raises MediaError."""
    video, target = Path(asked.arguments["video"]), asked.folder / PROXY
    write_proxy(video, target, progress=asked.share("copying for the browser"), check=asked.check)
    return {"file": PROXY}


def _model(key: str) -> ModelFile:
    if key not in MODEL_FILES:
        raise not_found("model", key)
    return MODEL_FILES[key]
