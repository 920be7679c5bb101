"""The people of a video as a picture and as a table: for choosing one by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from latentsync.errors import MediaError
from latentsync.face.people import Person, Span
from latentsync.places import part_file

FACE, MARGIN, NUMBER_WIDTH = 112, 12, 72
"""Pixels: side of a portrait; around everything; of the column with the numbers."""
MOMENTS = 5
"""Portraits of each person, spread over the time on screen."""
BAR, LINE = 18, 20
"""Pixels: height of a timeline; of a line of text."""
WIDTH = NUMBER_WIDTH + MOMENTS * (FACE + MARGIN) + 480 + MARGIN
ROW = FACE + BAR + 3 * MARGIN + LINE
PAPER, INK, FAINT = (255, 255, 255), (32, 32, 32), (224, 224, 224)
SEEN, SPEAKS = (120, 160, 210), (214, 92, 40)
"""Colours, RGB: of the timeline where the person is on screen, and where the person speaks."""
LISTED = 6
"""Spans that a line of the table names; more are counted."""

Speech = Mapping[int, Sequence[Span]]
"""Number of a person -> when this person speaks, in seconds."""


def write_contact_sheet(
    people: Sequence[Person], path: Path, *, seconds: float, speech: Speech | None = None
) -> None:
    """Writes a PNG; the file appears when it is complete.

    people: at least one. seconds: length of the video. speech: None: not known. Raises MediaError
    where it cannot be written.
    """
    sheet = contact_sheet(people, seconds=seconds, speech=speech)
    encoded = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1]
    try:
        with part_file(path) as part:
            part.write_bytes(encoded.tobytes())
    except OSError as error:
        raise MediaError("cannot write the contact sheet", path, str(error)) from error


def contact_sheet(
    people: Sequence[Person], *, seconds: float, speech: Speech | None = None
) -> np.ndarray:
    """(H, W, 3) uint8 RGB: a row for each person, with portraits, times and a timeline."""
    sheet = np.full((MARGIN + 2 * LINE + ROW * len(people), WIDTH, 3), PAPER, np.uint8)
    _legend(sheet, seconds, known=speech is not None)
    for row, person in enumerate(people):
        top = MARGIN + 2 * LINE + ROW * row
        _row(sheet, top, person, seconds, None if speech is None else speech.get(person.number, ()))
    return sheet


def people_table(people: Sequence[Person], *, speech: Speech | None = None) -> list[str]:
    """Lines of text: number, place, and when each person is on screen and speaks [seconds]."""
    lines = ["person  at x, y      on screen   from - to [s]"]
    for one in people:
        x, y = one.center
        place = f"{x:.0f}, {y:.0f}"
        lines.append(f"{one.number:>6}  {place:<12} {one.seconds:>7.1f} s   {_listed(one.spans)}")
        if speech is not None:
            spans = speech.get(one.number, ())
            total = sum(stop - start for start, stop in spans)
            lines.append(f"{'':>6}  {'speaks':<12} {total:>7.1f} s   {_listed(spans)}")
    return lines


def _row(
    sheet: np.ndarray, top: int, person: Person, seconds: float, speech: Sequence[Span] | None
) -> None:
    sheet[top, MARGIN:-MARGIN] = FAINT
    top += MARGIN
    _text(sheet, str(person.number), MARGIN, top + FACE // 2 + LINE, scale=1.6, thickness=3)
    for column, image in enumerate(_moments(person)):
        left = NUMBER_WIDTH + column * (FACE + MARGIN)
        sheet[top : top + FACE, left : left + FACE] = image
    left = NUMBER_WIDTH + MOMENTS * (FACE + MARGIN) + MARGIN
    x, y = person.center
    _text(sheet, f"on screen for {person.seconds:.1f} s, around {x:.0f}, {y:.0f}", left, top + LINE)
    _text(sheet, _listed(person.spans, most=4), left, top + 2 * LINE)
    if speech is not None:
        spoken = sum(stop - start for start, stop in speech)
        said = f"speaks for {spoken:.1f} s" if spoken else "does not speak"
        _text(sheet, said, left, top + 3 * LINE + LINE // 2)
        _text(sheet, _listed(speech, most=4), left, top + 4 * LINE + LINE // 2)
    bar = top + FACE + MARGIN
    _spans(sheet, bar, BAR, [(0, seconds)], seconds, FAINT)
    _spans(sheet, bar, BAR, person.spans, seconds, SEEN)
    _spans(sheet, bar + BAR // 3, BAR // 3, speech or (), seconds, SPEAKS)


def _legend(sheet: np.ndarray, seconds: float, *, known: bool) -> None:
    _text(sheet, f"people in {seconds:.1f} s of video", MARGIN, MARGIN + LINE - 4)
    entries = [("on screen", SEEN)] + ([("speaks", SPEAKS)] if known else [])
    for place, (word, color) in enumerate(entries):
        left = WIDTH // 2 + place * 160
        sheet[MARGIN : MARGIN + LINE - 4, left : left + 28] = color
        _text(sheet, word, left + 36, MARGIN + LINE - 4)


def _spans(
    sheet: np.ndarray,
    top: int,
    height: int,
    spans: Sequence[Span],
    seconds: float,
    color: tuple[int, int, int],
) -> None:
    """Each at least one pixel wide."""
    width = WIDTH - 2 * MARGIN
    for start, stop in spans:
        left, right = (int(np.clip(time / seconds, 0, 1) * width) for time in (start, stop))
        left = min(left, width - 1)
        sheet[top : top + height, MARGIN + left : MARGIN + max(right, left + 1)] = color


def _moments(person: Person) -> list[np.ndarray]:
    """Up to MOMENTS portraits, in order of time: the best of each part of the time on screen."""
    count = min(MOMENTS, len(person.portraits))
    parts = np.array_split(np.arange(len(person.portraits)), count) if count else []
    best = [max((person.portraits[i] for i in part), key=lambda one: one.quality) for part in parts]
    return [one.pixels for one in best]


def _listed(spans: Sequence[Span], most: int = LISTED) -> str:
    shown = [f"{start:.1f} - {stop:.1f}" for start, stop in spans[:most]]
    more = [f"and {len(spans) - most} more"] if len(spans) > most else []
    return ", ".join(shown + more) or "never"


def _text(
    sheet: np.ndarray, text: str, x: int, y: int, *, scale: float = 0.5, thickness: int = 1
) -> None:
    """y: of the base line."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(sheet, text, (x, y), font, scale, INK, thickness, cv2.LINE_AA)
