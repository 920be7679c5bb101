"""How long a job would take, and what it would fetch first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from latentsync.estimate.estimate import Estimate, estimate
from latentsync.pipeline.job import checked
from latentsync.pipeline.requirements import face_models, missing_weights
from latentsync.restoration.base import weights_wanted
from latentsync.server.quick.model_views import model_view
from latentsync.server.views import EstimateView
from latentsync.server.work.asked import Asked
from latentsync.server.work.here import Here
from latentsync.settings.load import config_of
from latentsync.weights.model_file import ModelFile

CONVERTS = "the first job converts the networks for this machine: 1 to 2 minutes more"
UNTIMED = "without the time of the restorer, whose weights are missing"


def estimate_of_request(asked: Asked, here: Here) -> dict[str, Any]:
    """See process.py. Raises ConfigError and MediaError."""
    config = config_of(asked.arguments["config"])
    job = checked(config)
    missing = missing_weights(config, speech=job.audio is not None)
    if necessary := [model for model in face_models(config) if model in missing]:
        names = ", ".join(model.key for model in necessary)
        note = f"the time is not known: the video cannot be analyzed without {names}"
        return asdict(EstimateView(None, None, _views(missing), (0, 0), note))
    if any(model in missing for model, _ in weights_wanted(config.restore)):
        config = replace(config, restore=replace(config.restore, name="none"))
    asked.reach(0.1, "timing a few frames")
    with here.turn.first():
        found = estimate(job, here.engines.of(config))
    return asdict(
        EstimateView(
            seconds=float(found.seconds) or None,
            frames=found.frames or None,
            missing=_views(missing),
            faces=(found.with_face, found.sampled),
            note=_note(found),
        )
    )


def _views(models: Sequence[ModelFile]) -> tuple[Any, ...]:
    return tuple(model_view(model) for model in models)


def _note(found: Estimate) -> str | None:
    notes = [CONVERTS] * found.converts + [UNTIMED] * found.untimed
    return "; ".join(notes) or None
