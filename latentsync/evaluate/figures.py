"""The table of figures, in the order in which they are shown. Each measure defines its own."""

from __future__ import annotations

from types import ModuleType

from latentsync.evaluate.figure import Figure
from latentsync.evaluate.measures import (
    akd,
    colour,
    face_quality,
    flicker,
    jitter,
    lips,
    outside,
    seam,
    sharpness,
    sync,
)

GROUPS = ("sync", "mouth", "seam", "rest")
MODULES: tuple[ModuleType, ...] = (
    *(sync, lips, sharpness, flicker, jitter, colour, akd),
    *(seam, outside, face_quality),
)
"""Of measures/, each with a tuple FIGURES. A new one is a word here."""


def figures_of(modules: tuple[ModuleType, ...]) -> dict[str, Figure]:
    """By name, group by group; those without limits of good and poor are the last of their group.
    Raises ValueError: two figures have the same name."""
    found: dict[str, Figure] = {}
    for one in sorted((one for module in modules for one in module.FIGURES), key=_place):
        if one.name in found:
            raise ValueError(f"two figures are called {one.name}")
        found[one.name] = one
    return found


def _place(figure: Figure) -> tuple[int, bool]:
    return GROUPS.index(figure.group), figure.good is None


FIGURES: dict[str, Figure] = figures_of(MODULES)
