"""Before and after: two videos that play in step, or two pictures, with a divider between them.

The elements are <ls-compare>, which a page's head has to bring along; see comparison_head. They
work wherever HTML is put into a page that is there already, and load nothing but the two files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

from latentsync.evaluate.page.markup import Markup, element
from latentsync.types import Box

SIDES = ("Source", "Result")


def comparison_head() -> Markup:
    """The script of all comparisons, for the head of a page."""
    style = json.dumps(_own("comparison.css")).replace("<", r"\u003c")
    code = f"const lsStyle = {style};\n{_own('in_step.js')}\n{_own('comparison.js')}"
    return Markup(f"<script>(() => {{{code}}})();</script>")


def moving_comparison(
    before: str,
    after: str,
    *,
    before_label: str = SIDES[0],
    after_label: str = SIDES[1],
    mouth: Sequence[float] | None = None,
    fps: float | None = None,
    about: str | None = None,
    side_by_side: bool = False,
) -> Markup:
    """Two videos; the audio is that of `after`.

    before, after: URLs. mouth: see mouth_share; None: whoever enlarges it clicks on it. fps: frames
    a second, by which single frames are stepped. about: what is compared, for screen readers.
    """
    return _compared(
        *("video", before, after, before_label, after_label, mouth, about),
        fps=fps,
        mode="side" if side_by_side else None,
    )


def still_comparison(
    before: str,
    after: str,
    *,
    before_label: str = SIDES[0],
    after_label: str = SIDES[1],
    mouth: Sequence[float] | None = None,
    about: str | None = None,
) -> Markup:
    """Two pictures of one size; parameters as of moving_comparison."""
    return _compared("picture", before, after, before_label, after_label, mouth, about)


def mouth_share(mouth: Box, width: int, height: int) -> tuple[float, float, float, float]:
    """x, y, width and height of a mouth in shares of a frame, which has that size in pixels."""
    x, y = mouth.x0 / width, mouth.y0 / height
    return x, y, (mouth.x1 - mouth.x0) / width, (mouth.y1 - mouth.y0) / height


def _compared(
    kind: str,
    before: str,
    after: str,
    before_label: str,
    after_label: str,
    mouth: Sequence[float] | None,
    about: str | None,
    **more: str | float | None,
) -> Markup:
    return element(
        "ls-compare",
        kind=kind,
        before=before,
        after=after,
        before_label=before_label,
        after_label=after_label,
        mouth=None if mouth is None else " ".join(f"{share:.4f}" for share in mouth),
        about=about,
        **more,
    )


def _own(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
