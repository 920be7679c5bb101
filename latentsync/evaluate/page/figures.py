"""The figures of the page: verdicts, the table of all, and two results compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from latentsync.evaluate.figures import FIGURES
from latentsync.evaluate.page.compare import moment
from latentsync.evaluate.page.markup import Markup, element, joined, section
from latentsync.evaluate.page.words import (
    GRADES,
    GROUPS,
    NOTHING,
    called,
    direction,
    file_name,
    interval,
    number,
    with_unit,
)
from latentsync.evaluate.shots import Shot
from latentsync.evaluate.words import capital, counted

Facts = Mapping[str, Any]


def badge(grade: str | None) -> Markup:
    """A grade as a sign and a word; the colour only repeats them."""
    known = grade if grade in GRADES else "unknown"
    sign = element("span", GRADES[known], class_="sign", aria_hidden="true")
    return element("span", sign, known, class_=f"badge {known}")


def verdicts(evaluation: Facts) -> Markup:
    """A card for each group."""
    cards = []
    for group, title in GROUPS.items():
        of = [one for one in evaluation["figures"].values() if one["group"] == group]
        first = of[0] if of else None
        said = f"{capital(first['title'])}: {_value(first)}" if first else "not measured"
        name = element("dt", title)
        shown = element("dd", badge(evaluation["verdict"].get(group)))
        cards.append(element("div", name, shown, element("dd", said, class_="said"), class_="card"))
    return element("dl", *cards, class_="verdicts")


def figures_section(evaluation: Facts, shots: Sequence[Shot]) -> Markup:
    """The table of figures, and what is not in it. shots: on this page."""
    figures = evaluation["figures"]
    heads = ("Figure", "Value", "95 % interval", "Better", "Grade", "Worst at")
    groups = [_group(group, figures, shots) for group in GROUPS]
    table = element("table", _head(heads), *groups, class_="figures")
    lead = "Open a figure to read how it is computed. The interval is what its noise leaves."
    return section(
        "figures",
        "Figures",
        element("p", lead, class_="lead") if figures else element("p", "Nothing was measured."),
        table if figures else None,
        _not_measured(evaluation["not_measured"]),
    )


def comparison_section(evaluation: Facts, shots: Sequence[Shot]) -> Markup | None:
    """Two results, figure by figure; None: there is only one. shots: on this page."""
    compared = evaluation.get("comparison")
    if not compared:
        return None
    names = _names(evaluation)
    heads = ("Figure", names["one"], names["other"], "Difference", "95 % interval", "Better")
    figures, said = evaluation["figures"], [_counted(compared, names)]
    rows = [_compared(name, one, figures, names, shots) for name, one in compared.items()]
    return section(
        "compare",
        "Which is better",
        *[element("p", one) for one in evaluation.get("comparison_summary") or said],
        element("table", _head(heads), element("tbody", *rows), class_="figures compared"),
    )


def _head(names: tuple[str, ...]) -> Markup:
    return element("thead", element("tr", *[element("th", one, scope="col") for one in names]))


def _cell(name: str, *content: str | None, **attributes: str) -> Markup:
    """name: of its column, which a narrow page shows beside it."""
    return element("td", *content, data_label=name, **attributes)


def _group(group: str, figures: Facts, shots: Sequence[Shot]) -> Markup | None:
    rows = [_figure(one, shots) for one in figures.values() if one["group"] == group]
    if not rows:
        return None
    title = element("th", GROUPS[group], scope="rowgroup", colspan=6)
    return element("tbody", element("tr", title, class_="group"), *rows)


def _figure(figure: Facts, shots: Sequence[Shot]) -> Markup:
    said = f"{figure['how']} Measured at {counted(figure['moments'], 'moment')}."
    title = element("summary", capital(figure["title"]))
    how = element("details", title, element("p", said, class_="how"))
    worst = moment(figure["worst"][0][0], shots) if figure["worst"] else NOTHING
    return element(
        "tr",
        element("th", how, scope="row"),
        _cell("Value", _value(figure), class_="value"),
        _cell("95 % interval", interval(figure), class_="number"),
        _cell("Better", direction(figure["better"], figure.get("goal"))),
        _cell("Grade", badge(figure["grade"]) if figure["grade"] else "not graded"),
        _cell("Worst at", worst),
    )


def _value(figure: Facts) -> str:
    return with_unit(number(figure["value"]), figure["unit"])


def _not_measured(reasons: Mapping[str, str]) -> Markup | None:
    if not reasons:
        return None
    items = [
        element("div", element("dt", _title(name)), element("dd", reason))
        for name, reason in reasons.items()
    ]
    return joined(element("h3", "Not measured"), element("dl", *items, class_="facts"))


def _title(name: str) -> str:
    return capital(FIGURES[name].title if name in FIGURES else called(name))


def _names(evaluation: Facts) -> dict[str, str]:
    """What the two results are called: by their files, if these have different names."""
    other = evaluation.get("other") or {}
    one, two = file_name(evaluation["result"]["path"]), file_name(other.get("path"))
    if not two or one == two:
        return {"one": one or "the first", "other": "the other"}
    return {"one": one, "other": two}


def _compared(
    name: str, one: Facts, figures: Facts, names: Mapping[str, str], shots: Sequence[Shot]
) -> Markup:
    figure = figures.get(name) or {}
    unit, title = figure.get("unit", ""), capital(figure.get("title") or _title(name))
    values = [
        _cell(names[side], with_unit(number(one[side]), unit), class_="number") for side in names
    ]
    signed = "+" * ((one["difference"] or 0) > 0) + number(one["difference"])
    difference = with_unit(signed, unit) if one["difference"] is not None else signed
    return element(
        "tr",
        element("th", title, scope="row"),
        *values,
        _cell("Difference", difference, class_="number"),
        _cell("95 % interval", interval(one), class_="number"),
        _cell("Better", *_winner(one, names, shots)),
    )


def _winner(one: Facts, names: Mapping[str, str], shots: Sequence[Shot]) -> Iterator[str]:
    if one["better"] in names:
        yield element("strong", names[one["better"]])
        if one.get("where") is not None:
            yield joined(", most at ", moment(one["where"], shots))
    else:
        yield "no difference beyond noise" if one["better"] == "same" else "not known"


def _counted(compared: Facts, names: Mapping[str, str]) -> str:
    """How many figures say what."""
    found = [one["better"] for one in compared.values()]
    parts = [
        f"{name} is better in {counted(found.count(side), 'figure')}"
        for side, name in names.items()
    ]
    rest = f"{found.count('same')} show no difference beyond noise"
    unsure = found.count("unknown")
    return "; ".join([*parts, rest, *([f"{unsure} cannot be told"] if unsure else [])]) + "."
