"""Strictly increasing time stamps out of whatever a container gives."""

from __future__ import annotations

from fractions import Fraction


class Clock:
    """Passes good stamps through untouched, makes up missing ones, moves bad ones a little.

    step: ticks from one frame to the next where nothing better is known.
    restart: a stamp that lies more than so many ticks back starts a new clock (a recording glued to
        another), and all that follow move with it; one that lies less far back moves alone.
    least: ticks by which each stamp has to exceed the one before.
    """

    def __init__(self, *, step: Fraction, restart: int, least: int = 1) -> None:
        self._step, self._restart, self._least = step, restart, least
        self._last: int | None = None
        self._anchor = -step  # the last stamp that was given; missing ones are counted on from it
        self._missing = 0
        self._shift = 0
        self.repaired = False
        """Whether the latest stamp had to be moved. One that was missing does not count."""

    def tick(self, stamp: int | None) -> int:
        """The next stamp, in ticks. stamp: what the container says, None where it says nothing."""
        self.repaired = stamp is not None and self._steps_back(stamp)
        if stamp is None:
            self._missing += 1
            value = round(self._anchor + self._missing * self._step)
        else:
            self._follow_restart(stamp)
            value = stamp + self._shift
            self._anchor, self._missing = Fraction(value), 0
        if self._last is not None:
            value = max(value, self._last + self._least)
        self._last = value
        return value

    def _steps_back(self, stamp: int) -> bool:
        return self._last is not None and stamp + self._shift < self._last + self._least

    def _follow_restart(self, stamp: int) -> None:
        if self._last is not None and self._last - (stamp + self._shift) > self._restart:
            self._shift = self._last + max(1, round(self._step)) - stamp
