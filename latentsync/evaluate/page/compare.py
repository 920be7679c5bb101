"""Before beside after: each shot, whole and its mouth enlarged."""

from __future__ import annotations

from collections.abc import Sequence

from latentsync.evaluate.page.markup import Markup, element, joined, section
from latentsync.evaluate.page.pictures import Picture, Shown
from latentsync.evaluate.shots import Shot
from latentsync.evaluate.words import capital, clock

SIDES = ("Source", "Result")


def shots_section(shown: Sequence[Shown], total: int) -> Markup | None:
    """All shots, one under the other; the script shows one at a time.

    total: number of those there were room for or not.
    """
    if not shown:
        return None
    fewer = f" {len(shown)} of {total} are shown, to keep this page small." * (len(shown) < total)
    compared = any(one.frame[0] is not None for one in shown)
    title = "Before and after" if compared else "Frames of the result"
    lead = f"The worst moments of each figure, and evenly spread ones.{fewer}"
    hint = "Drag the line, or move it with the arrow keys, Home and End." if compared else None
    return section(
        "shots",
        title,
        element("p", lead, hint and element("span", f" {hint}", class_="scripted"), class_="lead"),
        element("div", class_="strip scripted"),
        element("div", *[_shot(place, one) for place, one in enumerate(shown)], class_="shots"),
    )


def moment(seconds: float, shots: Sequence[Shot]) -> Markup:
    """A time, as a link to the pictures nearest to it if there are any."""
    if not shots:
        return joined(clock(seconds))
    nearest = min(range(len(shots)), key=lambda place: abs(shots[place].seconds - seconds))
    return element("a", clock(seconds), href=f"#shot-{nearest}", data_at=seconds)


def _shot(place: int, one: Shown) -> Markup:
    shot, when = one.shot, clock(one.shot.seconds, tenths=True)
    why = capital(shot.why)
    head = element(
        "h3",
        element("span", when, class_="when"),
        element("span", f" frame {shot.index}", class_="frame-number"),
    )
    views = [_view("Mouth, enlarged", "mouth", one.mouth, when)] if one.mouth else []
    views.append(_view("Whole frame", "whole", one.frame, when))
    return element(
        "article",
        head,
        element("p", why, class_="why"),
        _choice() if one.frame[0] is not None else None,
        element("div", *views, class_="views"),
        class_="shot",
        id=f"shot-{place}",
        data_seconds=shot.seconds,
        data_why=why,
        data_when=when,
        aria_label=f"{when}, {why}",
    )


def _choice() -> Markup:
    """Buttons for who does not like to drag; the script shows them."""
    names = (("100", SIDES[0]), ("50", "Half and half"), ("0", SIDES[1]))
    buttons = [element("button", name, type="button", data_split=to) for to, name in names]
    return element("div", *buttons, class_="choice scripted", role="group", aria_label="Show")


def _view(title: str, kind: str, pair: tuple[Picture | None, Picture], when: str) -> Markup:
    """A pair of pictures, side by side until the script lays one over the other."""
    before, after = pair
    size = {"data_width": after.width, "data_height": after.height}
    sides = [_side("after", SIDES[1], title, after, when)]
    if before is not None:
        sides.insert(0, _side("before", SIDES[0], title, before, when))
    upright = "upright" if after.height > after.width else "wide"
    kinds = f"view {kind} {upright}{' paired' if before is not None else ''}"
    pictures = element("div", *sides, class_="pair", **size)
    return element("figure", element("figcaption", title), pictures, class_=kinds)


def _side(kind: str, name: str, title: str, one: Picture, when: str) -> Markup:
    alternative = f"{name}, {title.lower()}, at {when}"
    shown = element(
        "img",
        src=one.uri,
        width=one.width,
        height=one.height,
        alt=alternative,
    )
    return element("div", shown, element("span", name, class_="tag"), class_=f"side {kind}")
