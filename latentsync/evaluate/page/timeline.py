"""The timeline: one row for each figure, and strips of what happened, over the video's seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from latentsync.evaluate.page.curves import (
    WIDTH,
    path,
    percent,
    scale,
    shares,
    thinned,
    ticks,
)
from latentsync.evaluate.page.markup import Markup, element, joined
from latentsync.evaluate.page.words import GROUPS, direction, number, with_unit
from latentsync.evaluate.shots import Shot
from latentsync.evaluate.words import capital, clock, counted

HEIGHT = 44
"""Of a curve, pixels."""
STRIP = 16
"""Of a strip, pixels."""
STRIPS = {
    "without_face": "No usable face",
    "occluded": "Something before the mouth",
    "turned_away": "Turned away",
    "filmed_mouth": "Mouth as filmed",
    "closed_mouth": "Closed mouth",
    "uncertain": "Mouth uncertain",
}
"""Of spans_seconds: those that have a strip, with its name."""
LINES = 60
"""Up to so many cuts are drawn through all rows."""

Spans = Sequence[Sequence[float]]
Facts = Mapping[str, Any]


def timeline(evaluation: Facts, report: Facts | None, shots: Sequence[Shot]) -> Markup:
    """All rows with one axis; the shots are numbered in their order."""
    span = _span(evaluation)
    cuts = evaluation["cuts_seconds"]
    rows = [
        _pictures(shots, span),
        *_curves(evaluation["figures"], span),
        *([] if report is None else _strength(report, span)),
        *_strips(evaluation, report, span),
        *([_cuts(cuts, span)] if cuts else []),
    ]
    through = _through(cuts, span)
    label = f"Timeline, {clock(span)} long"
    content = joined(*rows, _axis(span), through)
    return element("div", content, class_="lanes", data_span=span, role="group", aria_label=label)


def _span(evaluation: Facts) -> float:
    """Seconds of the axis; never 0."""
    return max(float(evaluation["result"]["seconds"]), 0.04)


def _row(name: str, detail: str | None, drawing: Markup, **attributes: str | float) -> Markup:
    """detail: what the row says of itself until a moment is pointed at."""
    known = None if detail is None else element("span", detail, class_="detail")
    text = element("div", element("span", name, class_="name"), known, class_="lane-name")
    return element("div", text, drawing, **{"class_": "lane", **attributes})


def _drawing(height: int, *parts: str, label: str | None = None) -> Markup:
    """An SVG as wide as the page; its x are per cent of the video's length."""
    hidden, role = (None, "img") if label else ("true", None)
    return element(
        "svg",
        *parts,
        class_="plot",
        width="100%",
        height=height,
        role=role,
        aria_label=label,
        aria_hidden=hidden,
    )


def _stretched(height: int, *parts: str) -> Markup:
    """Its x are of WIDTH; line widths stay as they are."""
    box = {"viewBox": f"0 0 {WIDTH} {height}", "preserveAspectRatio": "none"}
    return element("svg", *parts, width="100%", height=height, **box)


def _curves(figures: Facts, span: float) -> Iterator[Markup]:
    for group in GROUPS:
        of = [one for one in figures.values() if one["group"] == group]
        yield from (row for one in of if (row := _curve(one, span)) is not None)


def _curve(figure: Facts, span: float) -> Markup | None:
    """None: it has no value in time."""
    times, values = thinned(figure["seconds"], figure["curve"])
    if not len(times) or np.isnan(values).all():
        return None
    bounds = scale(values, figure["value"])
    line = path(times, values, span=span, bounds=bounds, height=HEIGHT)
    drawn = _stretched(HEIGHT, *_good(figure, bounds), element("path", d=line, class_="curve"))
    worst = [_worst(at, value, span, bounds) for at, value in figure["worst"] if value is not None]
    lowest, highest = number(float(np.nanmin(values))), number(float(np.nanmax(values)))
    ranging = with_unit(f"{lowest} to {highest}", figure["unit"])
    way = direction(figure["better"], figure.get("goal"))
    title = capital(figure["title"])
    return _row(
        title,
        f"{ranging}, {way}",
        _drawing(HEIGHT, drawn, *worst, label=f"{title} over time: {ranging}, {way}"),
        data_low=bounds[0],
        data_high=bounds[1],
        data_height=HEIGHT,
        data_unit=figure["unit"],
        class_=f"lane {figure['grade'] or 'unknown'}",
    )


def _good(figure: Facts, bounds: tuple[float, float]) -> Iterator[Markup]:
    """Lines where a value is good no more: on both sides of a goal that it has to be near."""
    good, goal = figure.get("good"), figure.get("goal") or 0.0
    if good is None:
        return
    for edge in (goal - good, goal + good) if figure["better"] == "near" else (good,):
        if bounds[0] < edge < bounds[1]:
            y = number(HEIGHT * (1 - (edge - bounds[0]) / (bounds[1] - bounds[0])), 1)
            yield element("line", x1=0, x2=WIDTH, y1=y, y2=y, class_="edge")


def _worst(at: float, value: float, span: float, bounds: tuple[float, float]) -> Markup:
    low, high = bounds
    y = HEIGHT * (1 - min(max((value - low) / (high - low), 0), 1))
    return element("circle", cx=percent(at, span), cy=number(y, 1), r=3.5, class_="worst")


def _strength(report: Facts, span: float) -> Iterator[Markup]:
    """How much every frame was restored, if any was."""
    for one in (report, *report.get("other_speakers", ())):
        strength = one["per_frame"].get("strength") or ()
        if any(strength):
            times = np.linspace(0, span, len(strength)).tolist()
            x, y = thinned(times, strength)
            line = path(x, np.nan_to_num(y), span=span, bounds=(0, 1), height=2 * STRIP)
            area = f"{line}L{WIDTH},{2 * STRIP}L0,{2 * STRIP}Z"
            drawn = _stretched(2 * STRIP, element("path", d=area, class_="area"))
            highest = f"0 to 1, highest {number(max(value or 0 for value in strength), 2)}"
            label = f"Strength of the restoration over time: {highest}"
            yield _row("Strength", highest, _drawing(2 * STRIP, drawn, label=label))


def _strips(evaluation: Facts, report: Facts | None, span: float) -> Iterator[Markup]:
    """What happened to the frames, and who speaks."""
    last = 1 / max(float(evaluation["result"]["fps"]), 1)
    for name, title in STRIPS.items():
        frames = evaluation["spans_seconds"].get(name, ())
        spans = [(start, stop + last) for start, stop in frames]
        if spans:
            yield _strip(title, spans, span, said=_long(spans, span), name=name)
    for title, spoken in _speakers(report):
        yield _strip(title, spoken, span, said=_long(spoken, span), name="speaker")


def _speakers(report: Facts | None) -> Iterator[tuple[str, Spans]]:
    """Whose mouth was changed, and when: where this person speaks, or else is seen."""
    if report is None:
        return
    for one in (report, *report.get("other_speakers", ())):
        who = one.get("speaker") or {}
        named = "Speaker" if who.get("person") is None else f"Speaker, person {who['person']}"
        if who.get("speech_seconds"):
            yield named, who["speech_seconds"]
        elif who.get("on_screen_seconds") and _as_filmed(report):
            yield f"{named}, on screen", who["on_screen_seconds"]


def _as_filmed(report: Facts) -> bool:
    """Whether the output's seconds are the source's."""
    length = report.get("length")
    return length is None or (
        length["stretch"] == 1 and length["output_seconds"] <= length["video_seconds"]
    )


def _cuts(cuts: Sequence[float], span: float) -> Markup:
    ticks = [(at, at + 1e-3 * span) for at in cuts]
    return _strip("Cuts", ticks, span, said=counted(len(cuts), "cut"), name="cut")


def _long(spans: Spans, span: float) -> str:
    total = sum(max(min(stop, span) - start, 0) for start, stop in spans)
    return f"{with_unit(number(total, 1), 's') if total < 60 else clock(total)} in all"


def _strip(title: str, spans: Spans, span: float, *, said: str, name: str) -> Markup:
    bars = [
        element(
            "rect",
            x=percent(start, span),
            width=percent(stop - start, span),
            y=0,
            height=STRIP,
            class_=f"bar {name}",
            opacity=None if share == 1 else number(max(share, 0.2), 2),
        )
        for start, stop, share in shares(spans, span=span)
    ]
    ground = element("rect", x=0, y=0, width="100%", height=STRIP, class_="ground")
    label = f"{title}: {said}, first at {clock(spans[0][0])}"
    return _row(title, said, _drawing(STRIP, ground, *bars, label=label))


def _pictures(shots: Sequence[Shot], span: float) -> Markup | None:
    """Where a pair of pictures can be jumped to; the links work without a script as well."""
    marks = [
        element(
            "a",
            element("title", f"{clock(shot.seconds, tenths=True)}: {capital(shot.why)}"),
            element("circle", cx=percent(shot.seconds, span), cy=STRIP / 2, r=5),
            href=f"#shot-{place}",
            class_="mark",
        )
        for place, shot in enumerate(shots)
    ]
    if not marks:
        return None
    attributes: dict[str, Any] = {"class_": "plot", "width": "100%", "height": STRIP}
    drawing = element("svg", *marks, **attributes, role="group", aria_label="Pictures in time")
    return _row("Pictures", f"{len(shots)} moments", drawing, class_="lane marks")


def _axis(span: float) -> Markup:
    """Every second label is left out on a narrow page."""
    parts: list[Markup] = []
    for place, at in enumerate(ticks(span)):
        x = percent(at, span)
        near_end = at > 0.94 * span
        anchor = "start" if place == 0 else "end" if near_end else "middle"
        text = clock(at, tenths=at % 1 > 0)
        minor = "minor" if place % 2 else None
        parts.append(element("line", x1=x, x2=x, y1=0, y2=5, class_="tick"))
        parts.append(element("text", text, x=x, y=20, text_anchor=anchor, class_=minor))
    return _row("", None, _drawing(26, *parts), class_="lane axis")


def _through(cuts: Sequence[float], span: float) -> Markup | None:
    """Lines through all rows; more than LINES would hide them."""
    if not cuts or len(cuts) > LINES:
        return None
    lines = [
        element("line", x1=x, x2=x, y1=0, y2="100%") for x in (percent(at, span) for at in cuts)
    ]
    attributes: dict[str, Any] = {"width": "100%", "height": "100%", "aria_hidden": "true"}
    return element("svg", *lines, class_="through", **attributes)
