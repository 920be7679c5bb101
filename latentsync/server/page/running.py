"""A job as the page shows it: its progress, its verdict and its files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from latentsync.evaluate.page.markup import Markup, element, joined
from latentsync.evaluate.words import capital, shown
from latentsync.server.page.parts import problem
from latentsync.server.page.words import PARTS, SIGNS, left_of, own, stage_of
from latentsync.server.views import COMPLETED, FAILED, JobView

DOWNLOADS = {
    "video": "Video",
    "report": "Report (JSON)",
    "evaluation": "Evaluation (JSON)",
    "settings": "Settings (YAML)",
}
"""Link of a job -> what its button says."""


def progress(job: JobView) -> Markup:
    """Bar, percentage and stage; only a new stage is read aloud."""
    if job.state == FAILED:
        return problem(stage_of(job))
    if job.state == COMPLETED:
        return Markup()
    return joined(
        element("p", stage_of(job), class_="stage", role="status"),
        element("p", capital(job.note), class_="hint") if job.note else None,
        None if job.ended else _bar(job),
    )


def _bar(job: JobView) -> Markup:
    bar = element("progress", value=round(job.progress), max=100, aria_label="Progress of the job")
    return joined(bar, element("p", left_of(job), class_="hint"))


def judged(job: JobView) -> Markup:
    """Verdict in words and colour, then the figures."""
    if job.verdict is None:
        return element("p", "This result was not judged.", class_="hint")
    grades = [_grade(part, grade) for part, grade in job.verdict.items()]
    return joined(
        element("ul", *grades, class_="verdict", aria_label="Verdict"),
        _figures(job.figures.values()) if job.figures else None,
    )


def _grade(part: str, grade: str) -> Markup:
    sign = element("span", SIGNS.get(grade, "?"), class_="sign", aria_hidden="true")
    return element(
        "li", sign, f"{PARTS.get(part, capital(part))}: {grade}", class_=f"grade {grade}"
    )


def _figures(figures: Iterable[Mapping[str, Any]]) -> Markup:
    """Those with a grade; the others are folded below them."""
    graded: list[Markup] = []
    others: list[Markup] = []
    for one in figures:
        (graded if one["grade"] else others).append(_figure(one))
    more = element("details", element("summary", "More figures"), _table(others))
    return joined(_table(graded) if graded else None, more if others else None)


def _table(rows: Sequence[Markup]) -> Markup:
    return element("table", element("tbody", *rows))


def _figure(figure: Mapping[str, Any]) -> Markup:
    grade = figure["grade"]
    return element(
        "tr",
        element("th", capital(figure["title"]), scope="row"),
        element("td", shown(figure["value"], figure["unit"])),
        element("td", element("span", grade, class_=f"grade {grade}") if grade else ""),
    )


def downloads(job: JobView) -> Markup:
    links = [
        element("a", title, href=f"{own(job.links[what])}?download=true", class_="button")
        for what, title in DOWNLOADS.items()
        if what in job.links
    ]
    return element("p", element("span", "Download:"), *links, class_="downloads")


def timeline(job: JobView) -> Markup | None:
    """The judge's own page, loaded when it is opened."""
    if "page" not in job.links:
        return None
    page = own(job.links["page"])
    link = element("a", "Open it in its own tab", href=page, target="_blank")
    frame = element("iframe", src=page, title="The judge's timeline", loading="lazy")
    summary = element("summary", "Timeline: where it is good, and where not")
    return element("details", summary, element("p", link), frame, class_="timeline")
