"""When each of the people of a video speaks, in the video's own audio: a further pass over it.

Here people become faces to compare; speaking.py has LR-ASD and the audio's side, face/speaking.py
the comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from latentsync.face.active_speaker import MouthClips, MouthScorer, smooth_squares
from latentsync.face.landmarks import LANDMARKS
from latentsync.face.people import SHORT, Person, Span
from latentsync.face.speaking import Speaking
from latentsync.media.audio.reader import AudioReader
from latentsync.pipeline.concurrency import Checked
from latentsync.pipeline.source import Source
from latentsync.pipeline.speaking import measure_speech, talking_face, who_speaks_when
from latentsync.speech.acoustic import compute_acoustics
from latentsync.speech.mfcc import mfcc_of_blocks
from latentsync.tone import sdr

CLEAR = 2.0
"""How many times as long as anybody else a person must speak to be the speaker without doubt."""
MOST = 12
"""People that are compared: each costs 5 to 8 ms of every frame and up to 19 MB."""

_Scored = tuple[np.ndarray, np.ndarray]
"""Times and scores of one face, see MouthClips.finish."""


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
    with the audio without a network. check: called at every block and frame; may raise.

    Only people who are seen for SHORT or longer are compared, and of them the MOST who are seen
    longest. The others have no spans and 0 seconds.
    """
    if not source.info.audio:
        return SpeakingPeople({}, {}, ())
    blocks = Checked(AudioReader(source.info.path), check)
    compared = _compared(people)
    scores: Mapping[int, _Scored] = {}
    if scorer is not None:
        scores = _scored(source, compared, len(seconds), MouthClips(scorer, mfcc_of_blocks(blocks)))
    faces = [
        talking_face(seconds, *_places(one, len(seconds)), scores.get(one.number))
        for one in compared
    ]
    acoustics = compute_acoustics(blocks)
    speech = measure_speech(blocks, acoustics)
    return _of_people(people, compared, who_speaks_when(faces, speech, acoustics))


def _compared(people: Sequence[Person]) -> list[Person]:
    seen = sorted((one for one in people if one.seconds >= SHORT), key=lambda one: -one.seconds)
    return seen[:MOST]


def _scored(
    source: Source, people: Sequence[Person], frames: int, clips: MouthClips
) -> dict[int, _Scored]:
    """LR-ASD's scores by number of a person; empty arrays where a person has none.

    That is who is seen only after the audio's end, and must not keep the others' from being used.
    """
    squares = {one.number: _squares(one, frames) for one in people}
    for index, frame in enumerate(source):
        shown = {n: each[index] for n, each in squares.items() if not np.isnan(each[index, 0])}
        clips.add(sdr(frame).pixels, frame.pts_seconds, shown)
    return {number: (np.empty(0), np.empty((0, 2))) for number in squares} | clips.finish()


def _of_people(
    people: Sequence[Person], compared: Sequence[Person], made: Speaking
) -> SpeakingPeople:
    """compared: those of the people whose faces were compared, in the order of the faces."""
    step = float(made.seconds[1] - made.seconds[0]) if len(made.seconds) > 1 else 0.0
    spans: dict[int, list[Span]] = {one.number: [] for one in people}
    for span in made.spans:
        if span.face is not None:
            spans[compared[span.face].number].append((span.start, span.stop))
    spoken = made.probability.sum(axis=1) * step
    seconds = {one.number: float(spoken[place]) for place, one in enumerate(compared)}
    return SpeakingPeople(spans, dict.fromkeys(spans, 0.0) | seconds, made.evidence)


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
