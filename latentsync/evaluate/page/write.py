"""The page of one evaluation: what a finished video is worth, in words, figures and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentsync.evaluate.files import write_evaluation, write_whole
from latentsync.evaluate.page.compare import shots_section
from latentsync.evaluate.page.document import document
from latentsync.evaluate.page.figures import comparison_section, figures_section, verdicts
from latentsync.evaluate.page.job import job_section
from latentsync.evaluate.page.markup import Markup, element, joined, section
from latentsync.evaluate.page.pictures import Shown, fitted
from latentsync.evaluate.page.timeline import timeline
from latentsync.evaluate.page.words import file_name
from latentsync.evaluate.shots import Moment, Shot, chosen_moments, read_shots
from latentsync.evaluate.words import clock

if TYPE_CHECKING:
    from latentsync.evaluate.judge import Case

MOST = 5_000_000
"""Bytes of a page, whatever the length of the video."""
_ELSEWHERE = "Not measured:"
"""Begins sentences of a summary that are left out of the page's: it has a part with all reasons."""
_FOR_WORDS = 2_500  # bytes around the pictures of a shot

Facts = Mapping[str, Any]


def write_page(evaluation: Facts, report: Facts | None, shots: Sequence[Shot], path: Path) -> None:
    """Writes one self-contained HTML file of at most MOST bytes.

    evaluation: see docs/evaluation.md. report: of the job, see docs/report.md; None: not known.
    shots: in any order. Raises MediaError: it cannot be written.
    """
    shots = sorted(shots, key=lambda one: one.seconds)
    bare = len(_page(evaluation, report, [], len(shots)).encode("utf-8", "replace"))
    room = MOST - bare - _FOR_WORDS * len(shots)
    page = _page(evaluation, report, fitted(shots, room), len(shots))
    write_whole(page, path, "the page")


def write_judgement(
    evaluation: Facts, case: Case, seen: Sequence[Moment], target: Path, page: Path | None
) -> list[Shot]:
    """Writes an evaluation and, if one is wanted, its page, whose pictures are returned.

    seen: see shots.read_shots. Raises MediaError: a file cannot be read or written.
    """
    write_evaluation(evaluation, target)
    if page is None:
        return []
    shots = read_shots(case.result, case.source, chosen_moments(evaluation), seen)
    write_page(evaluation, case.report, shots, page)
    return shots


def _page(evaluation: Facts, report: Facts | None, shown: Sequence[Shown], total: int) -> str:
    name, shots = file_name(evaluation["result"]["path"]), [one.shot for one in shown]
    body = joined(
        _header(evaluation, name),
        element(
            "main",
            comparison_section(evaluation, shots),
            _summary(evaluation),
            _timeline(evaluation, report, shots),
            shots_section(shown, total),
            figures_section(evaluation, shots),
            job_section(evaluation, report),
        ),
        _footer(evaluation),
    )
    return document(f"Evaluation of {name}", body, script="page.js")


def _header(evaluation: Facts, name: str) -> Markup:
    result, frames = evaluation["result"], evaluation["frames"]
    facts = (
        f"{result['width']} × {result['height']}",
        f"{round(result['fps'], 3):g} frames per second",
        f"{clock(result['seconds'])} long",
        f"{frames['measured']:,} of {frames['total']:,} frames measured",
        f"evaluated {evaluation['created'][:10]}",
    )
    items = element("ul", *[element("li", one) for one in facts], class_="inline")
    kind = element("p", "Evaluation", class_="kind")
    return element("header", kind, element("h1", name), items)


def _summary(evaluation: Facts) -> Markup:
    said = [one for one in evaluation["summary"] if not one.startswith(_ELSEWHERE)]
    first, *others = said or ["Nothing could be said of this video."]
    return section(
        "summary",
        "Summary",
        element("p", first, class_="first"),
        *[element("p", one) for one in others],
        verdicts(evaluation),
    )


def _timeline(evaluation: Facts, report: Facts | None, shots: Sequence[Shot]) -> Markup:
    lead = "Circles are the worst moments of a figure, dashes its limit of good."
    hint = " Point at a moment to read its values; click, or press Enter, to see its pictures."
    scripted = element("span", hint, class_="scripted") if shots else None
    return section(
        "time",
        "Timeline",
        element("p", lead, scripted, class_="lead"),
        timeline(evaluation, report, shots),
    )


def _footer(evaluation: Facts) -> Markup:
    made = f"Made by latentsync {evaluation['version']}."
    return element(
        "footer", element("p", f"{made} This page holds all it shows and loads nothing.")
    )
