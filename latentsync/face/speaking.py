"""Which of the visible faces speaks when: arithmetic on the movement of mouths and on the audio.

Faces are compared with each other. Three kinds of evidence are combined. A mouth that hardly moves
while another one does, by its aperture and by LR-ASD's scores, does not speak. Where several mouths
move, the one that moves as the audio predicts speaks: LR-ASD's scores are no help there. The
evidence of all frames is combined by a hidden Markov model, since a turn lasts seconds.

The evidence is in speaking_evidence.py, the model in turns.py, LR-ASD's crops in active_speaker.py.
What needs files, networks or the audio's features is in pipeline/speaking.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from latentsync.face.speaking_evidence import (
    AUDIO_RATE,
    FRAME_RATE,
    NOBODY_PRIOR,
    Speech,
    TalkingFace,
    evidence_used,
    logits_of,
    spoken_instants,
)
from latentsync.face.turns import posterior

CHANGE = -4.25
"""Logit of a change of speakers from one instant to the next; PAUSE_CHANGE in a pause."""
PAUSE_CHANGE = -3.0


@dataclass(frozen=True, slots=True)
class SpokenSpan:
    """A stretch of speech of one speaker. start, stop: seconds. face: its place in `faces`; None:
    nobody who is visible."""

    start: float
    stop: float
    face: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Speaking:
    """seconds: (N,) 25 a second. probability: (T, N) that each of the T faces speaks; 0 in pauses.

    spans: of speech, in order. evidence: what was used: "motion", "correlation", "regression" (of a
    face's own lips), "LR-ASD".
    """

    seconds: np.ndarray
    probability: np.ndarray
    spans: tuple[SpokenSpan, ...]
    evidence: tuple[str, ...]

    def at(self, seconds: np.ndarray) -> np.ndarray:
        """(F,) -> (T, F): the probabilities of the nearest instants."""
        last = max(len(self.seconds) - 1, 0)
        return self.probability[:, np.rint(seconds * FRAME_RATE).astype(int).clip(0, last)]


def who_speaks(faces: Sequence[TalkingFace], speech: Speech) -> Speaking:
    """Compares the faces at every instant. A single face is not forced to be the speaker.

    Without LR-ASD's scores of all faces they are not compared: motion and correlation decide.
    """
    ends = [
        len(speech.speech) / AUDIO_RATE,
        *(float(f.seconds[-1]) for f in faces if len(f.seconds)),
    ]
    count = int(np.ceil(max(ends) * FRAME_RATE)) + 1
    spoken = spoken_instants(speech.speech, count)
    logits = logits_of(faces, speech, count)
    present = np.isfinite(logits)
    logits = np.where(spoken & present, logits, 0.0)
    change = np.where(spoken, CHANGE, PAUSE_CHANGE)
    probability = posterior(logits, present, change, nobody=NOBODY_PRIOR)
    return Speaking(
        np.arange(count) / FRAME_RATE,
        np.where(spoken, probability[:-1], 0.0),
        tuple(_spans(probability, spoken)),
        evidence_used(faces),
    )


def _spans(probability: np.ndarray, spoken: np.ndarray) -> list[SpokenSpan]:
    """Runs of speech with one most probable state."""
    best = np.where(spoken, probability.argmax(axis=0), -1)
    borders = np.flatnonzero(np.diff(best)) + 1
    edges = [0, *borders.tolist(), len(best)]
    nobody, spans = len(probability) - 1, []
    for start, stop in pairwise(edges):
        state = int(best[start])
        if state < 0:
            continue
        face = None if state == nobody else state
        spans.append(SpokenSpan(start / FRAME_RATE, stop / FRAME_RATE, face))
    return spans
