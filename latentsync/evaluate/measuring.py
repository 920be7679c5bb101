"""Which measures are made for which inputs."""

from __future__ import annotations

from dataclasses import dataclass

from latentsync.evaluate.heard import HeardAudio
from latentsync.evaluate.measures.outside import Outside
from latentsync.evaluate.needs import Lacking
from latentsync.evaluate.pair import Measure
from latentsync.settings.schema import Config


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What measures may use beside frames. heard: None: there is no audio."""

    config: Config
    heard: HeardAudio | None


def measures_for(_inputs: Inputs) -> tuple[list[Measure], Lacking]:
    """New measures, and what some lack (weights, for instance)."""
    return [Outside()], {}
