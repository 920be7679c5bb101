"""Computes the part of each layer that a window of GFPGAN's output depends on.

The upward path and the decoder are 3x3 convolutions and bilinear doublings without statistics of
the whole image: a crop of a layer gives a crop of the next one, wrong only near edges inside the
image. Halos keep these edges outside the window. At the border of the image the padding is the
original one, and nothing is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from latentsync.types import Box

SIDES = (8, 16, 32, 64, 128, 256, 512)
"""Sides of the layers of the upward path and the decoder, smallest first."""

# Wrong pixels from an edge inwards. A doubling makes one wrong by itself; a wrong input pixel
# becomes two, and affects a third by interpolation.
_DECODER = 3  # the doubling, then two convolutions
_WAY_UP = 4  # a convolution at half the side (1), the doubling (3), a convolution
_CONDITIONS = _WAY_UP + 2 + 1  # two convolutions, and the decoder's second one reads a pixel beyond

GRID = 32
"""Windows begin and end at multiples of it. The mouths of five videos, 216 to 236 wide, share one
window on this grid, of 320 x 224: one converted network serves them all."""
WORTHWHILE = 0.7
"""Of the image's area: with its halos, a larger window is about as much work as the whole."""


@dataclass(frozen=True, slots=True)
class Level:
    """The parts computed of the layers of one side. Both begin and end at even pixels.

    read: by the upward path, for the conditions. painted: by the decoder; it lies inside.
    """

    side: int
    read: Box
    painted: Box


def whole(side: int) -> Box:
    return Box(0, 0, side, side)


WHOLE = whole(SIDES[-1])


def snapped(box: Box) -> Box:
    """The smallest window on the grid that holds the part of the box inside the image.

    The whole image where a window would not be worthwhile.
    """
    side = WHOLE.x1
    low = [max(start, 0) // GRID * GRID for start in (box.x0, box.y0)]
    high = [min(-(-end // GRID) * GRID, side) for end in (box.x1, box.y1)]
    window = Box(*low, *high)
    area = (window.x1 - window.x0) * (window.y1 - window.y0)
    return window if area <= WORTHWHILE * side**2 else WHOLE


def levels(window: Box) -> tuple[Level, ...]:
    """One for each of SIDES. window: half open, inside the image; ValueError if it is not."""
    if window.empty or window.joined(WHOLE) != WHOLE:
        raise ValueError(f"a window lies inside {WHOLE}, not {window}")
    found: list[Level] = []
    painted = passed_up = window
    for side in reversed(SIDES):
        wanted = painted
        read = _grown(wanted, _CONDITIONS, side)
        if found:
            read = read.joined(_grown(passed_up, _WAY_UP, side))
        found.append(Level(side, read, _grown(wanted, _DECODER, side)))
        painted, passed_up = halved(found[-1].painted), halved(read)
    return tuple(reversed(found))


def halved(part: Box) -> Box:
    """The part of the layer of half the side that a part is the double of."""
    return Box(part.x0 // 2, part.y0 // 2, part.x1 // 2, part.y1 // 2)


def cut(layer: Tensor, have: Box, want: Box) -> Tensor:
    """layer: (N, C, h, w), the part `have` of a layer -> (N, C, h', w'), the part `want` of it."""
    if want == have:
        return layer
    rows = slice(want.y0 - have.y0, want.y1 - have.y0)
    return layer[:, :, rows, want.x0 - have.x0 : want.x1 - have.x0]


def _grown(part: Box, halo: int, side: int) -> Box:
    low = [max(start - halo, 0) // 2 * 2 for start in (part.x0, part.y0)]
    high = [min(-(-(end + halo) // 2) * 2, side) for end in (part.x1, part.y1)]
    return Box(*low, *high)
