"""The table of figures, in the order in which they are shown. Each measure defines its own."""

from __future__ import annotations

from latentsync.evaluate.figure import Figure

FIGURES: dict[str, Figure] = {one.name: one for one in ()}
