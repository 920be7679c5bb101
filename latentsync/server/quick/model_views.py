"""Weights as the API and the page show them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from latentsync.server.views import ModelView
from latentsync.weights import licences
from latentsync.weights.find import is_here
from latentsync.weights.model_file import ModelFile

_NON_COMMERCIAL = "non-commercial"


def model_view(model: ModelFile, folders: Sequence[str | Path] = ()) -> ModelView:
    """folders: see weights.find."""
    licence = model.licence
    return ModelView(
        key=model.key,
        for_what=model.needed_by,
        installed=is_here(model, folders),
        bytes=model.bytes,
        licence=str(licence),
        licence_url=licence.url or None,
        accepted=not licences.unaccepted([licence]),
        non_commercial=_NON_COMMERCIAL in licence.meaning,
        source=str(model.sources[0]) if model.sources else None,
    )
