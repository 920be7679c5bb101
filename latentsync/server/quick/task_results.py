"""What the engine's process answers, as views; names of files become URLs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from latentsync.errors import (
    CheckpointError,
    ConfigError,
    FaceNotFoundError,
    LatentSyncError,
    MediaError,
)
from latentsync.server.errors import ApiError
from latentsync.server.views import (
    ErrorView,
    EstimateView,
    ModelView,
    PersonView,
    PictureView,
    PreviewView,
)

Url = Callable[[str], str]
"""Name of a file of the task -> its URL."""

_CODES: tuple[tuple[type[LatentSyncError], str], ...] = (
    (ConfigError, "setting"),
    (CheckpointError, "weights_missing"),
    (MediaError, "unreadable"),
    (FaceNotFoundError, "no_face"),
)


def people_of(result: dict[str, Any], url: Url) -> tuple[PersonView, ...]:
    return tuple(
        PersonView(**{**one, "portrait": url(one["portrait"]), "speaks": _spans(one["speaks"])})
        for one in result["people"]
    )


def preview_of(result: dict[str, Any], url: Url) -> PreviewView:
    after = tuple(_picture(one, url) for one in result["after"])
    return PreviewView(result["seconds"], _picture(result["before"], url), after)


def estimate_of(result: dict[str, Any], note: str | None) -> EstimateView:
    """note: of how the job is set up, beside the estimate's own."""
    notes = "; ".join(one for one in (note, result["note"]) if one)
    missing = tuple(ModelView(**one) for one in result["missing"])
    return EstimateView(
        **{**result, "missing": missing, "faces": tuple(result["faces"]), "note": notes or None}
    )


def models_of(result: dict[str, Any], _url: Url) -> tuple[ModelView, ...]:
    return tuple(ModelView(**one) for one in result["models"])


def error_view(error: BaseException, public: Callable[[str], str]) -> ErrorView:
    """public: takes the server's own folders out of a text."""
    if isinstance(error, ApiError):
        return ErrorView(error.code, public(error.message), error.field)
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "failed")
    return ErrorView(code, public(str(error)))


def _picture(one: dict[str, Any], url: Url) -> PictureView:
    urls = {key: None if one[key] is None else url(one[key]) for key in ("frame", "mouth")}
    error = None if one["error"] is None else ErrorView(**one["error"])
    return PictureView(**{**one, **urls, "error": error})


def _spans(speaks: Any) -> tuple[tuple[float, float], ...] | None:
    return None if speaks is None else tuple((float(a), float(b)) for a, b in speaks)
