"""What figures need, and what is said where it is not there."""

from __future__ import annotations

from collections.abc import Mapping

from latentsync.evaluate.figure import Figure, Need
from latentsync.evaluate.figures import FIGURES

Lacking = Mapping[Need, str]
"""What is not there -> why, and what would help."""

NO_SOURCE = "the source is not known; name it with --source"
NO_SPEECH = "the result has no audio; name the speech with --audio"
AFTERWARDS = "it is measured of finished files: run the evaluate command"
OTHER_SPEECH = "the speech is not the source's, so the lips are to move otherwise"
UNREADABLE = "the audio cannot be read"
NO_JOB = "only the job that makes a result can measure it; run it with --evaluate"


def reasons(lacking: Lacking, figures: Mapping[str, Figure] = FIGURES) -> dict[str, str]:
    """By figure that cannot be measured, the reason: that of the first need that is lacking."""
    found: dict[str, str] = {}
    for name, figure in figures.items():
        missing = [lacking[need] for need in figure.needs if need in lacking]
        if missing:
            found[name] = missing[0]
    return found
