"""A moment before and after, with a divider that is dragged or moved with the arrow keys."""

from __future__ import annotations

from latentsync.evaluate.page.markup import Markup, element, joined
from latentsync.evaluate.words import clock
from latentsync.server.page.parts import problem
from latentsync.server.views import PictureView, PreviewView

TITLES = {"none": "Not restored"}


def moment(view: PreviewView) -> Markup:
    """One restorer: the frame beside its mouth; several: their mouths side by side."""
    when = element("p", f"At {clock(view.seconds, tenths=True)} of the result.", class_="hint")
    if len(view.after) == 1:
        return joined(when, _large(view.before, view.after[0]))
    cards = [_card(view.before, one) for one in view.after]
    return joined(when, element("div", *cards, class_="restorers"))


def _large(before: PictureView, after: PictureView) -> Markup:
    if after.error is not None:
        return problem(after.error.message)
    frame = _divided(before.frame, after.frame, "the whole frame")
    mouth = _divided(before.mouth, after.mouth, "the mouth enlarged")
    return joined(
        element("div", frame, mouth, class_="moment"), element("p", after.why, class_="hint")
    )


def _card(before: PictureView, after: PictureView) -> Markup:
    title = element("h4", TITLES.get(after.restorer, after.restorer))
    if after.error is not None:
        return element("section", title, element("p", after.error.message), class_="card")
    what = f"the mouth with {after.restorer}"
    mouth = _divided(before.mouth, after.mouth, what)
    frame = _divided(before.frame, after.frame, f"the frame with {after.restorer}")
    if mouth is not None and frame is not None:
        frame = element("details", element("summary", "Whole frame"), frame)
    why = element("p", after.why, class_="hint")
    return element("section", title, mouth, frame, why, class_="card")


def _divided(before: str | None, after: str | None, what: str) -> Markup | None:
    """page.js moves the divider by the value of the slider."""
    if before is None or after is None:
        return None
    divider = element(
        "input", type="range", min=0, max=100, value=50, class_="divider", aria_label=f"{_AB}{what}"
    )
    pictures = element(
        "div",
        element("img", src=after, alt=f"After: {what}"),
        element("img", src=before, alt=f"Before: {what}", class_="before"),
        element("span", class_="line", aria_hidden="true"),
        divider,
        class_="divided",
    )
    caption = element("span", "before"), element("span", "after")
    return element("figure", pictures, element("figcaption", *caption, aria_hidden="true"))


_AB = "Divider between before and after of "
