"""The tables of the peers: restorers by clip, generators by step and by setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.peers.clips import CLIPS
from benchmarks.peers.contestant import NETWORK, all_in, around
from benchmarks.peers.generators import CACHED, DECODE, ENCODE, UNET, WHOLE
from benchmarks.peers.official import PARSING
from benchmarks.peers.process import Measured
from benchmarks.peers.rounds import Figures
from benchmarks.table import duration, markdown
from latentsync.generate.diffusion.guidance import guided_steps
from latentsync.settings.presets import PRESETS

Tasks = Mapping[str, Measured]
RESTORED = ("", "network", "around it", "all in", "ours is faster", "peak memory")
STEPS = 20


@dataclass(frozen=True, slots=True)
class Passes:
    """Of the U-Net for a chunk."""

    whole: float
    cached: float

    @classmethod
    def of(cls, preset: str) -> Passes:
        """Ours, unbatched: a guided step is two passes."""
        own: Any = PRESETS[preset]
        interval = max(int(own["generate.step_cache"]), 1)
        guided = guided_steps(
            own["generate.steps"],
            own["generate.guidance"],
            own["generate.guidance_interval"],
            own["generate.step_cache"],
        )
        passes = [1 + int(one) for one in guided]
        whole = sum(passes[::interval])
        return cls(whole, sum(passes) - whole)


OURS = {
    "default: 20 steps, guidance 1.5": Passes.of("quality"),
    "preset balanced": Passes.of("balanced"),
    "preset fast": Passes.of("fast"),
}
CACHE = 3
UPSTREAM = {
    "20 steps, guidance 1.5": Passes(STEPS, 0),
    "the same with DeepCache": Passes(-(-STEPS // CACHE), STEPS - -(-STEPS // CACHE)),
}
"""Of its batch of two."""


def restored(figures: Figures) -> str:
    """Rows by clip and contestant; the first contestant is what the others are compared with."""
    cells: list[Sequence[str]] = [RESTORED]
    for clip in CLIPS:
        ours = next(iter(figures.values()))
        for name, tasks in figures.items():
            whole, its = tasks.get(all_in(clip.name)), ours.get(all_in(clip.name))
            parts = [tasks.get(NETWORK), tasks.get(around(clip.name)), whole]
            last = whole or tasks.get(around(clip.name))
            memory = "" if last is None else f"{last.peak:.0f} MB"
            cells.append((f"{clip}: {name}", *map(_time, parts), _faster(whole, its), memory))
    return markdown(cells)


def parsing(figures: Figures) -> str:
    """One line: what the scripts' parsing network adds to their figures for each face."""
    took = [found[PARSING] for found in figures.values() if PARSING in found]
    return "\n".join(f"The script's {PARSING} takes {_time(one)} more for a face." for one in took)


def steps(figures: Figures) -> str:
    """What one step, image or frame takes, by contestant."""
    tasks = list(dict.fromkeys(task for one in figures.values() for task in one))
    cells: list[Sequence[str]] = [("", *figures)]
    for task in tasks:
        cells.append((task, *(_time(one.get(task)) for one in figures.values())))
    peaks = [max(found.peak for found in one.values()) for one in figures.values()]
    return markdown([*cells, ("peak memory", *(f"{peak:.0f} MB" for peak in peaks))])


def latentsync(figures: Figures, frames: int) -> str:
    """Seconds for a frame of 1080p by setting, all in."""
    (_, ours), (name, theirs) = figures.items()
    base = {key: per_frame(theirs, passes, frames) for key, passes in UPSTREAM.items()}
    head = ("a frame, all in", "seconds", *(f"times as fast as {key}" for key in base))
    lines = [(f"{name}: {key}", duration(one), *_ratios(one, base)) for key, one in base.items()]
    for key, passes in OURS.items():
        own = per_frame(ours, passes, frames)
        lines.append((f"ours, {key}", duration(own), *_ratios(own, base)))
    return markdown([head, *lines])


def per_frame(tasks: Tasks, passes: Passes, frames: int) -> float:
    """Seconds. Every frame is encoded twice, masked and whole."""
    denoising = passes.whole * tasks[WHOLE].seconds + passes.cached * tasks[CACHED].seconds
    coding = 2 * tasks[ENCODE].seconds + tasks[DECODE].seconds
    return denoising / frames + coding + tasks[around(CLIPS[0].name)].seconds


def musetalk(figures: Figures) -> str:
    """Seconds for a frame through the networks: theirs encodes the reference of each frame too."""
    (_, ours), (name, theirs) = figures.items()
    own = ours[UNET].seconds + ours[ENCODE].seconds + ours[DECODE].seconds
    other = theirs[UNET].seconds + 2 * theirs[ENCODE].seconds + theirs[DECODE].seconds
    head = ("a frame, the networks", "seconds", "times as fast")
    lines = [(name, duration(other), ""), ("ours", duration(own), f"{other / own:.1f}")]
    return markdown([head, *lines])


def _ratios(own: float, base: Mapping[str, float]) -> list[str]:
    return [f"{one / own:.1f}" for one in base.values()]


def _faster(other: Measured | None, ours: Measured | None) -> str:
    """By the clock, and by the seconds of the cores."""
    if other is None or ours is None or other is ours:
        return ""
    return f"{other.seconds / ours.seconds:.1f} ({other.cores / ours.cores:.1f})"


def _time(found: Measured | None) -> str:
    """By the clock, and of the cores."""
    return "" if found is None else f"{duration(found.seconds)} ({duration(found.cores)})"
