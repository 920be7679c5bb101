"""A moment before and after, as it would become with one restorer or with each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from latentsync.evaluate.page.markup import Markup, element, joined
from latentsync.evaluate.words import capital, clock
from latentsync.server.page.moving import still_comparison
from latentsync.server.page.parts import problem
from latentsync.server.page.words import own
from latentsync.server.views import PictureView, PreviewView

NONE, BEFORE = "none", "before"
TITLES = {NONE: "Not restored", BEFORE: "Your video"}


def moment(view: PreviewView, hints: Mapping[str, str]) -> Markup:
    """One restorer: the frame beside its mouth; several: their mouths side by side. hints: restorer
    -> what is said where it could not be used."""
    after = [_explained(one, hints) for one in view.after]
    when = element("p", f"At {clock(view.seconds, tenths=True)} of the result.", class_="hint")
    if len(after) == 1:
        return joined(when, _large(view.before, after[0]))
    first = _card(BEFORE, view.before, None)
    cards = [_card(one.restorer, one, _compared(view.before, one)) for one in after]
    return joined(when, element("div", first, *cards, class_="restorers"))


def _large(before: PictureView, after: PictureView) -> Markup:
    if after.error is not None:
        return problem(after.error.message)
    mouths = element("div", _mouth("Before", before), _mouth("After", after), class_="mouths")
    pair = element("div", _compared(before, after), mouths, class_="moment")
    return joined(pair, element("p", capital(after.why), class_="hint"))


def _mouth(when: str, one: PictureView) -> Markup | None:
    if one.mouth is None:
        return None
    picture = element("img", src=own(one.mouth), alt=f"The mouth, enlarged: {when.lower()}")
    return element("figure", picture, element("figcaption", f"{when}: the mouth, enlarged"))


def _explained(one: PictureView, hints: Mapping[str, str]) -> PictureView:
    if one.error is None or one.restorer not in hints:
        return one
    return replace(one, error=replace(one.error, message=hints[one.restorer]))


def _compared(before: PictureView, after: PictureView) -> Markup | None:
    if before.frame is None or after.frame is None:
        return None
    return still_comparison(own(before.frame), own(after.frame), about="the whole frame")


def _card(name: str, one: PictureView, whole: Markup | None) -> Markup:
    """whole: the frame, to be unfolded."""
    shown = TITLES.get(name, name)
    title = element("h4", shown)
    if one.error is not None:
        return element("section", title, element("p", one.error.message), class_="card")
    mouth = one.mouth and element(
        "img", src=own(one.mouth), alt=f"The mouth: {TITLES.get(name, name)}"
    )
    more = whole and element("details", element("summary", "Whole frame"), whole)
    why = element("p", capital(one.why), class_="hint") if name != BEFORE else None
    return element("section", title, mouth or None, why, more, class_="card")
