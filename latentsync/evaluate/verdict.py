"""The verdict in words: a headline, then a sentence for each group of figures.

It is made from the evaluation's own numbers, and claims no more than their intervals allow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from latentsync.evaluate.figure import Figure
from latentsync.evaluate.figures import GROUPS
from latentsync.evaluate.grades import Verdict, verdict
from latentsync.evaluate.job_facts import skipped_spans
from latentsync.evaluate.needs import NO_JOB, OTHER_SPEECH
from latentsync.evaluate.phrases import phrase, small
from latentsync.evaluate.words import capital, clock, counted, listed, places

NAMES = {"sync": "sync", "mouth": "mouth", "seam": "seam", "rest": "rest of the frame"}
_SAID = 3  # figures in a sentence
_RANK = {"poor": 0, "fair": 1, "good": 2, None: 3}
_SHORT = 3.0  # seconds: a shorter video has no intervals

Figures = Mapping[str, Mapping[str, Any]]


def verdicts(figures: Figures) -> dict[str, Verdict]:
    """By group: that of its worst figure."""
    return {
        group: verdict(one["grade"] for one in figures.values() if one["group"] == group)
        for group in GROUPS
    }


def summary(evaluation: Mapping[str, Any], table: Mapping[str, Figure]) -> list[str]:
    """Sentences, the shortest account first. table: all figures."""
    figures = evaluation["figures"]
    sentences = [_headline(evaluation)]
    sentences += [_of_group(group, evaluation, table) for group in GROUPS]
    sentences += _of_job(evaluation)
    sentences += _not_measured(evaluation, table)
    if figures and all(one["low"] is None for one in figures.values()):
        sentences.append(
            f"Nothing says how sure these figures are: that takes more than {_SHORT:g} s in which "
            "the face is seen."
        )
    return sentences


def _headline(evaluation: Mapping[str, Any]) -> str:
    """ "Sync good; mouth fair: 4 % softer than the face; 12 frames skipped at 0:31." """
    parts = [_in_short(group, evaluation) for group in GROUPS]
    skipped = evaluation["frames"].get("skipped", 0)
    if skipped:
        where = places(skipped_spans(evaluation["spans_seconds"]))
        parts.append(f"{counted(skipped, 'frame')} skipped {where}")
    return _sentence("; ".join(parts))


def _in_short(group: str, evaluation: Mapping[str, Any]) -> str:
    known, name = evaluation["verdict"][group], NAMES[group]
    if known in ("good", "unknown"):
        return f"{name} {known}"
    worst = _ordered(_in_group(group, evaluation["figures"]))[0]
    return f"{name} {known}: {phrase(*worst)}"


def _of_group(group: str, evaluation: Mapping[str, Any], table: Mapping[str, Figure]) -> str:
    known = evaluation["verdict"][group]
    figures = _in_group(group, evaluation["figures"])
    text = f"{NAMES[group]}: {known}"
    if figures:
        text += "; " + "; ".join(_with_place(*one) for one in _ordered(figures)[:_SAID])
    if known != "unknown":
        return _sentence(text)
    if any(one["good"] is not None for _, one in figures):
        return _sentence(f"{text}. The figures vary too much to call it good or poor")
    reasons = [r for n, r in evaluation["not_measured"].items() if table[n].group == group]
    return _sentence(". ".join([text, *(capital(one) for one in dict.fromkeys(reasons))]))


def _not_measured(evaluation: Mapping[str, Any], table: Mapping[str, Figure]) -> Iterator[str]:
    """What is missing from groups that have a verdict all the same, a sentence a reason."""
    missing: dict[str, list[str]] = {}
    for name, reason in evaluation["not_measured"].items():
        figure = table[name]
        if figure.good is None or reason in (NO_JOB, OTHER_SPEECH):
            continue  # it has no say, or nothing is wrong
        if evaluation["verdict"][figure.group] != "unknown":
            missing.setdefault(reason, []).append(small(figure.title))
    for reason, titles in missing.items():
        yield _sentence(f"not measured: {listed(titles)}; {reason}")


def _with_place(name: str, figure: Mapping[str, Any]) -> str:
    said = phrase(name, figure)
    if figure["grade"] in ("poor", "fair") and figure["worst"] and len(figure["curve"]) > 1:
        return f"{said}, most of all at {clock(figure['worst'][0][0])}"
    return said


def _of_job(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """What the job's report says happened to the frames."""
    frames, spans = evaluation["frames"], evaluation["spans_seconds"]
    said = {
        "without_face": "no usable face was found",
        "turned_away": "the head is turned too far",
        "occluded": "something is in front of the face",
    }
    parts = [f"{what} {places(spans[name])}" for name, what in said.items() if spans.get(name)]
    if parts:
        yield _sentence(f"left as filmed: {'; '.join(parts)}")
    reused = frames.get("reused", 0)
    if reused:
        yield _sentence(f"{counted(reused, 'frame')} took over the restoration of an earlier one")


def _in_group(group: str, figures: Figures) -> list[tuple[str, Mapping[str, Any]]]:
    return [(name, one) for name, one in figures.items() if one["group"] == group]


def _ordered(
    figures: Sequence[tuple[str, Mapping[str, Any]]],
) -> list[tuple[str, Mapping[str, Any]]]:
    """The worst first; those that are alike in the order of the table."""
    return sorted(figures, key=lambda one: _RANK[one[1]["grade"]])


def _sentence(text: str) -> str:
    return f"{capital(text).removesuffix('.')}."
