"""When each of the people of a video speaks, in the video's own audio: a further pass over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from latentsync.face.active_speaker import MouthClips, MouthScorer, smooth_squares
from latentsync.face.landmarks import LANDMARKS
from latentsync.face.people import Person, Span
from latentsync.face.speaking import Speaking
from latentsync.media.audio.reader import AudioReader
from latentsync.pipeline.concurrency import Checked
from latentsync.pipeline.source import Source
from latentsync.pipeline.speaking import measure_speech, talking_face, who_speaks_when
from latentsync.speech.acoustic import compute_acoustics
from latentsync.speech.mfcc import mfcc_of_blocks

CLEAR = 2.0
"""How many times as long as anybody else a person must speak to be the speaker without doubt."""


@dataclass(frozen=True, slots=True, eq=False)
class SpeakingPeople:
    """By number of a person: spans, and seconds of speech, each weighed by its probability.

    evidence: what the decision rests on; empty: the video has no audio.
    """

    spans: Mapping[int, Sequence[Span]]
    seconds: Mapping[int, float]
    evidence: tuple[str, ...]

    @property
    def uncertain(self) -> bool:
        """Whether it is not clear who speaks most."""
        most = sorted(self.seconds.values(), reverse=True)
        return not most or most[0] <= 0 or (len(most) > 1 and most[0] < CLEAR * most[1])


def speaking_people(
    source: Source,
    people: Sequence[Person],
    seconds: np.ndarray,
    scorer: MouthScorer | None,
    check: Callable[[], None],
) -> SpeakingPeople:
    """seconds: (F,), presentation times of the source's frames. scorer: None: mouths are compared
    with the audio without a network. check: called at every block and frame; may raise."""
    if not source.info.audio:
        return SpeakingPeople({}, {}, ())
    blocks = Checked(AudioReader(source.info.path), check)
    scores: Mapping[int, tuple[np.ndarray, np.ndarray]] = {}
    if scorer is not None:
        clips = MouthClips(scorer, mfcc_of_blocks(blocks))
        squares = {one.number: _squares(one, len(seconds)) for one in people}
        for index, frame in enumerate(source):
            shown = {n: each[index] for n, each in squares.items() if not np.isnan(each[index, 0])}
            clips.add(frame.pixels, frame.pts_seconds, shown)
        scores = clips.finish()
    faces = [
        talking_face(seconds, *_places(one, len(seconds)), scores.get(one.number)) for one in people
    ]
    acoustics = compute_acoustics(blocks)
    speech = measure_speech(blocks, acoustics)
    return _of_people(people, who_speaks_when(faces, speech, acoustics))


def _of_people(people: Sequence[Person], made: Speaking) -> SpeakingPeople:
    step = float(made.seconds[1] - made.seconds[0]) if len(made.seconds) > 1 else 0.0
    return SpeakingPeople(
        {
            one.number: [(span.start, span.stop) for span in made.spans if span.face == n]
            for n, one in enumerate(people)
        },
        {one.number: float(made.probability[n].sum()) * step for n, one in enumerate(people)},
        made.evidence,
    )


def _squares(person: Person, frames: int) -> np.ndarray:
    """(F, 3), see active_speaker.smooth_squares; NaN where the person is not seen."""
    squares = np.full((frames, 3), np.nan)
    for track in person.tracks:
        boxes = np.stack([face.box for face in track.faces])
        squares[track.start : track.stop] = smooth_squares(boxes)
    return squares


def _places(person: Person, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (F, 11, 2) and boxes (F, 4), NaN where the person is not seen."""
    landmarks, boxes = np.full((frames, len(LANDMARKS), 2), np.nan), np.full((frames, 4), np.nan)
    for track in person.tracks:
        run = slice(track.start, track.stop)
        landmarks[run] = np.stack([face.landmarks for face in track.faces])
        boxes[run] = np.stack([face.box for face in track.faces])
    return landmarks, boxes
