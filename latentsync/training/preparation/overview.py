"""The overview: an HTML page of what was kept, and what each step dropped, with pictures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from latentsync.evaluate.files import write_whole
from latentsync.evaluate.page.document import document
from latentsync.evaluate.page.markup import Markup, element, joined, section
from latentsync.evaluate.page.pictures import picture
from latentsync.training.preparation.manifest import DROPPED, KEPT, NOT_JUDGED, STEPS, Row
from latentsync.training.preparation.record import Clip
from latentsync.training.preparation.splitting import TRAIN, VALIDATION, Split
from latentsync.training.preparation.store import Store
from latentsync.training.preparation.table import StepSum, sums

NAME = "overview.html"
SHOWN = 24
"""Pictures of clips that were kept, and of those that each step dropped."""
LISTED = 200
"""Sources in the last table."""
_QUALITY = 80


def write_overview(
    rows: Sequence[Row], clips: Sequence[Clip], split: Split, store: Store, output: Path
) -> None:
    """Raises MediaError: it cannot be written."""
    body = joined(
        _header(rows, clips, split),
        element(
            "main",
            _steps(rows),
            _kept(clips, split, store),
            *_dropped(rows, store),
            _sources(rows, clips),
        ),
        element("footer", element("p", "This page holds all it shows and loads nothing.")),
    )
    write_whole(document("Training data", body, script=None), output / NAME, "the overview")


def minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:,.1f} min"


def _header(rows: Sequence[Row], clips: Sequence[Clip], split: Split) -> Markup:
    counts = Counter(split.parts.values())
    facts = (
        f"{len({row.source for row in rows}):,} files",
        f"{len(clips):,} clips, {minutes(sum(clip.seconds for clip in clips))}",
        f"{len(set(split.speakers.values())):,} speakers",
        f"{counts[TRAIN]:,} clips to train, {counts[VALIDATION]:,} to validate",
    )
    items = element("ul", *[element("li", one) for one in facts], class_="inline")
    notes = [element("p", note, class_="lead") for note in split.notes]
    kind = element("p", "Training data", class_="kind")
    return element(
        "header", kind, element("h1", "What was kept, and why not the rest"), items, *notes
    )


def _steps(rows: Sequence[Row]) -> Markup:
    head = ("Step", "It asks whether", "Dropped", "Time", "Not judged", "Most often because")
    lines = [_step(one) for one in sums(rows)]
    table = element(
        "table",
        element("thead", element("tr", *[_head(one) for one in head])),
        element("tbody", *lines),
    )
    if not lines:
        table = element("p", "No step dropped anything.")
    lead = "Two people in one shot count as two pieces, so that times can add up to more than that "
    return section("steps", "Steps", element("p", f"{lead}of the files.", class_="lead"), table)


def _head(name: str) -> Markup:
    return element("th", name, scope="col", class_="length")


def _step(one: StepSum) -> Markup:
    told = one.reasons.most_common(3) + one.doubts.most_common(3)
    why = "; ".join(f"{reason} ({count})" for reason, count in told)
    cells = (
        STEPS[one.step],
        f"{one.dropped + one.failed:,}",
        minutes(one.dropped_seconds),
        f"{one.not_judged:,}" if one.not_judged else "",
        why,
    )
    asked, *numbers, reasons = cells
    return element(
        "tr",
        element("th", one.step, scope="row", class_="length"),
        element("td", asked),
        *[element("td", cell, class_="length") for cell in numbers],
        element("td", reasons),
    )


def _kept(clips: Sequence[Clip], split: Split, store: Store) -> Markup:
    cards = []
    for clip in _spread(clips):
        said = f"{split.speakers[clip.name]}, {split.parts[clip.name]}, {clip.seconds:.1f} s"
        cards.append(_card(store, clip.name, said, _figures(clip.facts)))
    there = [card for card in cards if card is not None]
    return section("kept", "Kept", _gallery(there) if there else element("p", "No clip."))


def _dropped(rows: Sequence[Row], store: Store) -> Iterator[Markup]:
    by_step: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.verdict == DROPPED and row.clip:
            by_step[row.step].append(row)
    for step in [name for name in STEPS if name in by_step]:
        dropped = by_step[step]
        cards = (_card(store, row.clip, row.reason, "") for row in dropped)
        there = list(islice((card for card in cards if card is not None), SHOWN))
        if there:
            yield section(f"dropped-{step}", f"Dropped: {step}", _gallery(there))


def _card(store: Store, name: str, said: str, figures: str) -> Markup | None:
    """None: there is no picture of it, or a damaged one."""
    pixels = _pixels(store.clips / name.split("_", 1)[0] / f"{name}.jpg")
    if pixels is None:
        return None
    made = picture(pixels, pixels.shape[0], _QUALITY)
    image = element("img", src=made.uri, alt="", width=made.width, height=made.height)
    lines = [element("dd", line, class_="said") for line in (said, figures) if line]
    return element("div", element("dt", image, element("div", name)), *lines, class_="card")


def _pixels(path: Path) -> np.ndarray | None:
    """(H, W, 3) uint8 RGB; None: no file, or none that can be decoded."""
    data = np.frombuffer(path.read_bytes() if path.is_file() else b"", np.uint8)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    return None if decoded is None else np.ascontiguousarray(decoded[..., ::-1])


def _gallery(cards: Sequence[Markup]) -> Markup:
    return element("dl", *cards, class_="verdicts")


def _figures(facts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in facts.items())


def _spread(clips: Sequence[Clip]) -> list[Clip]:
    """SHOWN of them, from all sources."""
    step = max(1, -(-len(clips) // SHOWN))
    return list(clips[::step])


def _sources(rows: Sequence[Row], clips: Sequence[Clip]) -> Markup:
    kept: dict[str, float] = defaultdict(float)
    for clip in clips:
        kept[clip.source] += clip.seconds
    last: dict[str, Row] = {}
    for row in rows:
        if row.verdict not in (KEPT, NOT_JUDGED):
            last.setdefault(row.source, row)
    names = list(dict.fromkeys(row.source for row in rows))
    lines = [_source(name, kept[name], last.get(name)) for name in names[:LISTED]]
    head = [_head(one) for one in ("File", "Kept", "First reason")]
    table = element("table", element("thead", element("tr", *head)), element("tbody", *lines))
    more = f"{len(names) - LISTED:,} more are in clips.csv." if len(names) > LISTED else None
    return section("files", "Files", table, more and element("p", more))


def _source(name: str, seconds: float, row: Row | None) -> Markup:
    said = f"{row.step}: {row.reason}" if row is not None else ""
    kept = minutes(seconds) if seconds else "nothing"
    return element(
        "tr",
        element("th", name, scope="row"),
        element("td", kept, class_="length"),
        element("td", said),
    )
