"""Which weights there are, which a job needs, and what has to be accepted for them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from latentsync.errors import LatentSyncError
from latentsync.generate.model_spec import weights_wanted
from latentsync.pipeline.requirements import check_detector, licences_wanted, missing_weights
from latentsync.restoration.base import RESTORERS
from latentsync.server.errors import ApiError
from latentsync.server.quick.model_views import is_here, model_view
from latentsync.server.views import ModelView
from latentsync.settings.load import load_config
from latentsync.settings.schema import Config
from latentsync.weights import licences
from latentsync.weights.known_licences import LICENCES_TO_ACCEPT
from latentsync.weights.manifest import MODEL_FILES
from latentsync.weights.model_file import ModelFile, described

LATENTSYNC = ("unet.yaml", "unet_256.yaml")
"""Shipped settings of each version of LatentSync, the better one first."""


def models() -> list[ModelView]:
    """All weights that are known."""
    return [model_view(model) for model in MODEL_FILES.values()]


def restorers() -> list[str]:
    """The default first."""
    return [*RESTORERS, "none"]


def generator_is_here(name: str) -> bool:
    """Whether all weights of the generator are. name: of its shipped settings."""
    return all(is_here(model) for model in _generator_files(name))


@cache
def _generator_files(name: str) -> tuple[ModelFile, ...]:
    return tuple(model for model, _ in weights_wanted(load_config(name)))


def check_weights(config: Config) -> None:
    """Raises ApiError (422, weights_missing) where weights would have to be fetched that are not
    small, or a licence was not accepted: nobody is asked once a job is queued."""
    try:
        missing = missing_weights(config, speech=config.speech)
        asked = [model for model in missing if config.weights.offline or not model.is_small]
        if asked:
            what = f"weights are missing: {described(asked)}"
            raise _missing(f"{what}; {_remedy(config, asked)}")
        licences.require(licences_wanted(config))
        check_detector(config)
    except ApiError:
        raise
    except LatentSyncError as error:
        raise _missing(str(error)) from error


def check_fetch(keys: Sequence[str], accept: Sequence[str], *, offline: bool) -> None:
    """Raises ApiError (422): nothing, or something unknown, or against its licence."""
    if offline:
        message = "this server fetches nothing: put the weights where they are searched"
        raise ApiError(422, "offline", message)
    for key in keys:
        if key not in MODEL_FILES:
            message = f"keys: {key}; use some of {', '.join(MODEL_FILES)}"
            raise ApiError(422, "keys", message, "keys")
    for name in accept:
        if name not in LICENCES_TO_ACCEPT:
            message = f"accept: {name}; use some of {', '.join(LICENCES_TO_ACCEPT)}"
            raise ApiError(422, "accept", message, "accept")
    asked = licences.unaccepted(MODEL_FILES[key].licence for key in keys)
    missing = [one for one in asked if one.ask_as not in accept]
    if missing or not keys:
        named = "; ".join(f"{one.ask_as}: {one}" for one in missing)
        message = f"a licence has not been accepted: {named}; accept it by that name, if it allows"
        message = f"{message} your use" if missing else "keys: none; name the weights to fetch"
        raise ApiError(422, "licence" if missing else "keys", message, "accept")


def _remedy(config: Config, missing: Sequence[ModelFile]) -> str:
    if config.weights.offline:
        return "this server fetches nothing: put them where weights are searched"
    keys = ", ".join(model.key for model in missing)
    names = [one.ask_as for one in licences.unaccepted(model.licence for model in missing)]
    accepted = f", and accept {', '.join(names)}" if names else ""
    return f"fetch them first: {keys}{accepted}"


def _missing(message: str) -> ApiError:
    return ApiError(422, "weights_missing", message)
