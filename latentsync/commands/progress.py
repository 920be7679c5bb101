"""Progress on stderr: a bar on a terminal; elsewhere one line at the start and one at the end of a
pass, which suits log files."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from latentsync.weights.model_file import readable


class _FrameBar(tqdm):
    """tqdm with the layout field ``{fps}``."""

    @property
    def format_dict(self) -> dict[str, Any]:
        values = super().format_dict
        elapsed = values["elapsed"]
        values["fps"] = f"{values['n'] / elapsed:.1f} fps" if elapsed else "? fps"
        return values


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Callable[[], None]]:
    """Frames done, frames per second and time left; see pipeline.progress.Progress."""
    if not sys.stderr.isatty():
        with _lines(title, f"{total} frames" if total else "", _frames) as count:
            yield lambda: count(1)
        return
    known = "{percentage:3.0f}% |{bar}| {n}/{total} frames, {fps}, {remaining} left"
    layout = "{desc}: " + (known if total else "{n} frames, {fps}")
    bar = _FrameBar(
        desc=title, total=total or None, bar_format=layout, mininterval=0.5, dynamic_ncols=True
    )
    with bar:
        yield lambda: bar.update() and None
        if total:  # the container's frame count may be an estimate
            bar.total = bar.n


@contextmanager
def byte_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Bytes downloaded, bytes per second and time left; see weights.download.Progress."""
    if not sys.stderr.isatty():
        with _lines(title, readable(total) if total else "", _bytes) as count:
            yield count
        return
    with tqdm(desc=title, total=total or None, unit="B", unit_scale=True, mininterval=0.5) as bar:
        yield lambda count: bar.update(count) and None


@contextmanager
def _lines(
    title: str, size: str, amount: Callable[[int, float], str]
) -> Iterator[Callable[[int], None]]:
    """size: of the pass, if known. amount: (count, seconds) -> text of what was done."""
    begin, done = time.perf_counter(), 0

    def count(step: int) -> None:
        nonlocal done
        done += step

    print(f"{title}: {size}" if size else f"{title} ...", file=sys.stderr)
    yield count
    seconds = max(time.perf_counter() - begin, 1e-3)
    print(f"{title}: done, {amount(done, seconds)}", file=sys.stderr)


def _frames(count: int, seconds: float) -> str:
    return f"{count} frames in {seconds:.1f} s, {count / seconds:.1f} fps"


def _bytes(count: int, seconds: float) -> str:
    return f"{readable(count)} in {seconds:.1f} s, {readable(int(count / seconds))}/s"
