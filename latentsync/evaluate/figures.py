"""The table of figures, in the order in which they are shown. Each measure defines its own."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from latentsync.evaluate.figure import Figure
from latentsync.evaluate.measures import face_quality, lips, outside, sync

MODULES: tuple[ModuleType, ...] = (sync, lips, outside, face_quality)
"""Of measures/, each with a tuple FIGURES. A new one is a line here."""


def figures_of(modules: tuple[ModuleType, ...]) -> dict[str, Figure]:
    """By name. Raises ValueError: two figures have the same name."""
    found: dict[str, Figure] = {}
    for one in _all(modules):
        if one.name in found:
            raise ValueError(f"two figures are called {one.name}")
        found[one.name] = one
    return found


def _all(modules: tuple[ModuleType, ...]) -> Iterator[Figure]:
    """Those that have limits of good and poor come first: they stand for their group."""
    for graded in (True, False):
        for module in modules:
            yield from (one for one in module.FIGURES if (one.good is not None) == graded)


FIGURES: dict[str, Figure] = figures_of(MODULES)
