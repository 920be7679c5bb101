"""What a figure is: what is measured of a finished video, in which unit, and what is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from latentsync.evaluate.statistics import Statistic

Direction = Literal["higher", "lower", "near"]
Group = Literal["sync", "mouth", "seam", "rest"]
Need = Literal["source", "speech", "syncnet", "stable_syncnet", "hyperiqa", "job", "same_speech"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    title: what a reader sees, a few words. unit: "" of a ratio. better: "near": the nearer to
    `goal` the better. how: a sentence on how it is computed. statistic: of the rows of Measured.
    window: seconds over which its curve in time is taken. grain: a difference below this many units
    means nothing, however sure it is. good, poor: from where a value is good no more, and from
    where it is poor; where better is "near", distances from the goal; None: no judgement. needs:
    what has to be there; "job": only known at the end of a job; "same_speech":
    the result's speech is the source's, so that its lips are to be where the source's are.
    """

    name: str
    group: Group
    title: str
    unit: str
    better: Direction
    how: str
    statistic: Statistic
    goal: float = 0.0
    window: float = 1.0
    grain: float = 0.0
    good: float | None = None
    poor: float | None = None
    needs: tuple[Need, ...] = ()
