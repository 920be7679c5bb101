"""The page of a batch: one row for each video, sortable, the failed ones by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from latentsync.evaluate.files import write_whole
from latentsync.evaluate.page.document import document
from latentsync.evaluate.page.figures import badge
from latentsync.evaluate.page.markup import Markup, element, joined
from latentsync.evaluate.page.pictures import Fineness, Picture, picture, shrunk
from latentsync.evaluate.page.words import GRADES, GROUPS, number, with_unit
from latentsync.evaluate.words import capital, clock, counted

Facts = Mapping[str, Any]

MOST = 5_000_000
"""Bytes of the thumbnails together."""
LADDER = (
    Fineness(frame=200, mouth=0, quality=75),
    Fineness(frame=120, mouth=0, quality=60),
    Fineness(frame=80, mouth=0, quality=40),
)
"""Of the thumbnails; without any where none of these is small enough."""
COLUMNS = ("Video", "Length", *GROUPS.values())


@dataclass(frozen=True, slots=True, eq=False)
class IndexRow:
    """One video of a batch.

    name: of its file. page: of its own page, relative to the index; None: it has none. thumbnail:
    (H, W, 3) uint8 RGB. evaluation: see docs/evaluation.md; None: it failed. error: why.
    """

    name: str
    page: str | None = None
    thumbnail: np.ndarray | None = None
    evaluation: Facts | None = None
    error: str | None = None


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB -> as small as a row shows it: rows of a whole batch are kept."""
    return shrunk(pixels, LADDER[0].frame)


def write_index(rows: Sequence[IndexRow], path: Path, *, title: str = "Evaluations") -> None:
    """Writes one self-contained HTML file. Raises MediaError: it cannot be written."""
    failed = sum(one.evaluation is None for one in rows)
    lead = counted(len(rows), "video") + (f", {failed} of them failed" if failed else "")
    table = element("table", _head(), element("tbody", *_rows(rows)), class_="batch")
    header = element(
        "header", element("p", "A batch of videos", class_="kind"), element("h1", title)
    )
    status = element("p", role="status", class_="unseen")
    main = element("main", element("p", f"{lead}.", class_="lead"), table, status)
    write_whole(document(title, joined(header, main), script="index.js"), path, "the page")


def _head() -> Markup:
    """The script turns the names into buttons that sort."""
    cells = [element("th", name, scope="col") for name in COLUMNS]
    return element("thead", element("tr", *cells))


def _rows(rows: Sequence[IndexRow]) -> list[Markup]:
    pictures = _thumbnails(rows)
    places = {name: _places(rows, name) for name in COLUMNS}
    return [
        _row(row, picture, {name: where[place] for name, where in places.items()})
        for place, (row, picture) in enumerate(zip(rows, pictures, strict=True))
    ]


def _thumbnails(rows: Sequence[IndexRow]) -> Sequence[Picture | None]:
    """As fine as there is room for."""
    for fineness in LADDER:
        side, quality = fineness.frame, fineness.quality
        found = [
            None if one.thumbnail is None else picture(one.thumbnail, side, quality) for one in rows
        ]
        if sum(len(one.uri) for one in found if one is not None) <= MOST:
            return found
    return [None] * len(rows)


def _places(rows: Sequence[IndexRow], column: str) -> list[int]:
    """Where each row stands if the table is sorted by that column, the best or the first on top."""
    order = sorted(range(len(rows)), key=lambda place: _key(rows[place], column))
    found = [0] * len(rows)
    for place, row in enumerate(order):
        found[row] = place
    return found


def _key(row: IndexRow, column: str) -> tuple[Any, ...]:
    """Failed videos come last."""
    if column == "Video":
        return (row.name.casefold(),)
    if row.evaluation is None:
        return (math.inf,)
    if column == "Length":
        return (row.evaluation["result"]["seconds"],)
    group = next(group for group, title in GROUPS.items() if title == column)
    grade = row.evaluation["verdict"].get(group, "unknown")
    return (list(GRADES).index(grade), _cost(_first(row.evaluation, group)))


def _first(evaluation: Facts, group: str) -> Facts | None:
    """The figure that stands for its group."""
    return next((one for one in evaluation["figures"].values() if one["group"] == group), None)


def _cost(figure: Facts | None) -> float:
    """The lower the better."""
    if figure is None or figure["value"] is None:
        return math.inf
    value, better = float(figure["value"]), figure["better"]
    return {"higher": -value, "lower": value}.get(better, abs(value - (figure.get("goal") or 0)))


def _row(row: IndexRow, thumbnail: Picture | None, keys: Mapping[str, int]) -> Markup:
    """keys: by column, where the row stands if the table is sorted by it."""
    name = element("th", _named(row, thumbnail), scope="row", data_key=keys["Video"])
    if row.evaluation is None:
        return element("tr", name, *_failed(row, keys), class_="failure")
    seconds = row.evaluation["result"]["seconds"]
    length = element("td", clock(seconds), class_="length", data_key=keys["Length"])
    cells = [_judged(row.evaluation, group, keys[title]) for group, title in GROUPS.items()]
    return element("tr", name, length, *cells)


def _failed(row: IndexRow, keys: Mapping[str, int]) -> list[Markup]:
    """The reason takes the place of all columns."""
    sign = element("span", "✗", class_="sign", aria_hidden="true")
    said = element("span", sign, "failed", class_="badge poor")
    why, columns = row.error or "no reason is known", len(COLUMNS) - 1
    return [element("td", said, f" {why}", colspan=columns, data_key=keys["Length"])]


def _named(row: IndexRow, thumbnail: Picture | None) -> Markup:
    shown = None
    if thumbnail is not None:
        size = {"width": thumbnail.width, "height": thumbnail.height}
        shown = element("img", src=thumbnail.uri, alt="", **size)
    tag, link = ("span", None) if row.page is None else ("a", quote(row.page))
    return element(tag, shown, element("span", row.name), class_="named", href=link)


def _judged(evaluation: Facts, group: str, key: int) -> Markup:
    first = _first(evaluation, group)
    value = first and with_unit(number(first["value"]), first["unit"])
    said = element("span", f"{capital(first['title'])} {value}", class_="said") if first else None
    grade = badge(evaluation["verdict"].get(group))
    return element("td", grade, said, data_label=GROUPS[group], data_key=key)
