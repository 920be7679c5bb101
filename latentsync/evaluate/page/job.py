"""What the page says of the job: models, provenance, stages, settings, versions, command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from latentsync.evaluate.page.markup import Markup, element, joined, section
from latentsync.evaluate.page.words import NOTHING, called, file_name, number

Facts = Mapping[str, Any]

MOST = 60
"""Entries of a list that are shown; more are counted."""


def job_section(evaluation: Facts, report: Facts | None) -> Markup:
    """Everything that is known; the report says more than the evaluation does."""
    job = evaluation.get("job") or {}
    known: Facts = {**job, **(report or {})}
    parts = [
        _part("Models", _models(known, job)),
        _part("Provenance", _provenance(known.get("provenance"))),
        _part("Stages", _stages(known.get("stages"), known.get("seconds"))),
        _part("Warnings", _warnings(known.get("warnings"))),
        _folded("Settings", _settings(known.get("settings"))),
        _folded("Versions and files", _versions(evaluation, known)),
    ]
    return section(
        "job",
        "How it was made",
        None if known else element("p", "The report of the job was not given.", class_="lead"),
        *parts,
    )


def _part(title: str, content: Markup | None) -> Markup | None:
    return None if content is None else joined(element("h3", title), content)


def _folded(title: str, content: Markup | None) -> Markup | None:
    """A reader opens it."""
    return None if content is None else element("details", element("summary", title), content)


def pairs(rows: Mapping[str, str | None]) -> Markup | None:
    """Names with what belongs to them; those without it are left out."""
    items = [
        element("div", element("dt", name), element("dd", text))
        for name, text in rows.items()
        if text
    ]
    return element("dl", *items, class_="facts") if items else None


def _models(known: Facts, job: Facts) -> Markup | None:
    """Each with its file, licence and sha256."""
    licences = dict(job.get("licences") or {})
    found = {
        model["name"]: {role: called(role), **model}
        for one in (known, *known.get("other_speakers", ()))
        for role in ("generator", "restorer")
        for model in [_model(one.get(role))]
        if model
    }
    shown = [_model_card(name, one, licences.pop(name, None)) for name, one in found.items()]
    shown += [_model_card(name, {}, licence) for name, licence in licences.items()]
    return element("div", *shown, class_="models") if shown else None


def _model(value: Any) -> dict[str, Any] | None:
    """As the report has it, or only its name, as the evaluation has it."""
    return {"name": value} if isinstance(value, str) else value


def _model_card(name: str, model: Facts, licence: str | None) -> Markup:
    weights = file_name(model.get("checkpoint")) or "none"
    role = next((role for role in ("generator", "restorer") if role in model), None)
    facts = pairs(
        {
            "Role": role,
            "Weights": weights if model else None,
            "Licence": model.get("licence") or licence or "part of this program",
            "SHA-256": model.get("sha256") and element("code", model["sha256"]),
        }
    )
    return element("div", element("h4", name), facts, class_="model")


def _provenance(provenance: Facts | None) -> Markup | None:
    if not provenance:
        return None
    signed = provenance.get("signed")
    sentences = [element("p", one) for one in provenance.get("sentences") or ()]
    rows = pairs(
        {
            "Digital source type": provenance.get("digital_source_type"),
            "AIGC": _plain(provenance.get("aigc")),
            "Signed": _plain(signed) if signed else "no",
            "Watermark": _plain(provenance.get("watermark")) or "none",
            "Found in the input": _plain(provenance.get("found")) or "nothing",
            "Not kept": _plain(provenance.get("not_kept")),
        }
    )
    return joined(*sentences, rows)


def _plain(value: Any) -> str | None:
    """Any value of a JSON as text."""
    if value is None or value == [] or value == {}:
        return None
    if isinstance(value, Mapping):
        return ", ".join(
            f"{called(str(name))}: {_plain(one) or 'none'}" for name, one in value.items()
        )
    if isinstance(value, Sequence) and not isinstance(value, str):
        more = [f"and {len(value) - MOST} more"] if len(value) > MOST else []
        return ", ".join([*(_plain(one) or "none" for one in value[:MOST]), *more])
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _stages(stages: Facts | None, seconds: Any) -> Markup | None:
    """Busy seconds as bars, the slowest is the longest."""
    if not stages:
        return None
    longest = max((one["busy"] for one in stages.values()), default=0) or 1
    heads = ("Stage", "Busy", "Waits", "Frames", "Per second")
    head = element("tr", *[element("th", one, scope="col") for one in heads])
    rows = [_stage(name, one, longest) for name, one in stages.items()]
    total = seconds.get("total") if isinstance(seconds, Mapping) else seconds
    note = "Stages work at the same time: their seconds add up to more than the whole."
    said = None if total is None else f"{number(total, 1)}\u00a0s in all. {note}"
    table = element("table", element("thead", head), element("tbody", *rows), class_="stages")
    return joined(element("p", said, class_="lead") if said else None, table)


def _stage(name: str, stage: Facts, longest: float) -> Markup:
    width = f"{number(100 * stage['busy'] / longest, 1)}%"
    bar = element("svg", element("rect", width=width, height=6), class_="busy", height=6)
    waits = stage.get("idle", 0) + stage.get("blocked", 0)
    cells = {
        "Busy": (f"{number(stage['busy'], 1)}\u00a0s", bar),
        "Waits": (f"{number(waits, 1)}\u00a0s",),
        "Frames": (str(stage.get("frames") or NOTHING),),
        "Per second": (number(stage.get("fps"), 1),),
    }
    row = [element("td", *content, data_label=label) for label, content in cells.items()]
    return element("tr", element("th", name, scope="row"), *row)


def _warnings(warnings: Sequence[str] | None) -> Markup | None:
    if not warnings:
        return None
    more = [f"and {len(warnings) - MOST} more"] if len(warnings) > MOST else []
    return element("ul", *[element("li", one) for one in [*warnings[:MOST], *more]])


def _settings(settings: Facts | None) -> Markup | None:
    if not settings:
        return None
    rows = {name: element("code", text) for name, text in _flat(settings)}
    facts = pairs({**rows})
    return None if facts is None else element("div", facts, class_="settings")


def _flat(settings: Facts, before: str = "") -> Iterator[tuple[str, str]]:
    """Each setting under its whole name, as on the command line."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        elif value not in ({}, []):
            yield f"{before}{name}", "null" if value is None else _plain(value) or ""


def _versions(evaluation: Facts, known: Facts) -> Markup | None:
    source, commands = evaluation.get("source") or {}, (known.get("command"), evaluation["command"])
    execution, host = known.get("execution") or {}, known.get("host") or {}
    rows = {
        "Result": evaluation["result"]["path"],
        "Source": source.get("path"),
        "Audio": evaluation.get("audio"),
        "Evaluated": f"{evaluation['created']}, version {evaluation['version']}",
        "Made": known.get("created") and f"{known['created']}, version {known['version']}",
        "Computer": _plain(host),
        "Networks": _plain(execution),
    }
    shown = [element("pre", element("code", one)) for one in dict.fromkeys(filter(None, commands))]
    return joined(pairs(rows), *shown)
