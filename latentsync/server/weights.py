"""Which weights there are, which a job needs, and what has to be accepted for them."""

from __future__ import annotations

from collections.abc import Sequence

from latentsync.errors import CheckpointError, LatentSyncError
from latentsync.generate.model_spec import weights_wanted
from latentsync.pipeline.requirements import check_detector, licences_wanted, missing_weights
from latentsync.restoration.base import RESTORERS
from latentsync.server.errors import ApiError
from latentsync.server.views import ModelView
from latentsync.settings.schema import Config
from latentsync.weights import licences
from latentsync.weights.find import find
from latentsync.weights.manifest import MODEL_FILES
from latentsync.weights.model_file import ModelFile, described

_NOT_COMMERCIAL = "non-commercial"


def models() -> list[ModelView]:
    """All weights that are known."""
    return [model_view(model) for model in MODEL_FILES.values()]


def restorers() -> list[str]:
    """The default first."""
    return [*RESTORERS, "none"]


def model_view(model: ModelFile) -> ModelView:
    licence = model.licence
    return ModelView(
        key=model.key,
        for_what=model.needed_by,
        installed=is_installed(model),
        bytes=model.bytes,
        licence=str(licence),
        licence_url=licence.url or None,
        accepted=not licences.unaccepted([licence]),
        non_commercial=_NOT_COMMERCIAL in licence.meaning,
        source=str(model.sources[0]) if model.sources else None,
    )


def is_installed(model: ModelFile) -> bool:
    try:
        find(model)
    except CheckpointError:
        return False
    return True


def generator_is_here(config: Config) -> bool:
    """Whether all weights of the generator are."""
    return all(path is not None or is_installed(model) for model, path in weights_wanted(config))


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


def _remedy(config: Config, missing: Sequence[ModelFile]) -> str:
    if config.weights.offline:
        return "this server fetches nothing: put them where weights are searched"
    keys = ", ".join(model.key for model in missing)
    names = [one.ask_as for one in licences.unaccepted(model.licence for model in missing)]
    accepted = f", and accept {', '.join(names)}" if names else ""
    return f"fetch them first: {keys}{accepted}"


def _missing(message: str) -> ApiError:
    return ApiError(422, "weights_missing", message)
