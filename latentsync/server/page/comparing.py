"""A moment before and after, as it would become with one restorer or with each of them."""

from __future__ import annotations

from latentsync.evaluate.page.markup import Markup, element, joined
from latentsync.evaluate.words import clock
from latentsync.server.page.moving import still_comparison
from latentsync.server.page.parts import problem
from latentsync.server.views import PictureView, PreviewView

NONE, BEFORE = "none", "before"
TITLES = {NONE: "Not restored", BEFORE: "Your video"}


def moment(view: PreviewView) -> Markup:
    """One restorer: the frame beside its mouth; several: their mouths side by side."""
    when = element("p", f"At {clock(view.seconds, tenths=True)} of the result.", class_="hint")
    if len(view.after) == 1:
        return joined(when, _large(view.before, view.after[0]))
    first = _card(BEFORE, view.before, None)
    cards = [_card(one.restorer, one, _compared(view.before, one)) for one in view.after]
    return joined(when, element("div", first, *cards, class_="restorers"))


def _large(before: PictureView, after: PictureView) -> Markup:
    if after.error is not None:
        return problem(after.error.message)
    mouth = None
    if before.mouth and after.mouth:
        mouth = still_comparison(before.mouth, after.mouth, about="the mouth, enlarged")
    pair = element("div", _compared(before, after), mouth, class_="moment")
    return joined(pair, element("p", after.why, class_="hint"))


def _compared(before: PictureView, after: PictureView) -> Markup | None:
    if before.frame is None or after.frame is None:
        return None
    return still_comparison(before.frame, after.frame, about="the whole frame")


def _card(name: str, one: PictureView, whole: Markup | None) -> Markup:
    """whole: the frame, to be unfolded."""
    title = element("h4", TITLES.get(name, name))
    if one.error is not None:
        return element("section", title, element("p", one.error.message), class_="card")
    mouth = one.mouth and element("img", src=one.mouth, alt=f"The mouth: {TITLES.get(name, name)}")
    more = whole and element("details", element("summary", "Whole frame"), whole)
    why = element("p", one.why, class_="hint") if name != BEFORE else None
    return element("section", title, mouth or None, why, more, class_="card")
