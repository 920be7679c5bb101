"""Peak memory of the command for a video, and for the same video repeated.

    python -m benchmarks.memory VIDEO [--times 10] [--slower 1] [key=value ...]
    python -m benchmarks.memory VIDEO --minutes 5 50 --resume [key=value ...]

Runs the real command and prints the peak resident memory of each process. With --resume also by
segment: a rise from the first ones to the last is what a longer video would add to.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import av

from latentsync.media.probe import probe
from latentsync.pipeline.segments.folder import folder_of

EVERY = 0.2  # seconds from one look at a process to the next
SHOWN = 10  # groups of segments in the table


class Peak(NamedTuple):
    """Of a process [MB]. segments: number of a segment -> the most seen while it was made, pass 1
    in that of the first; none without --resume, and on systems without /proc."""

    megabytes: float
    segments: Mapping[int, float]


def repeat_video(source: Path, target: Path, times: int, slower: int = 1) -> None:
    """Writes the packets of the video stream several times in a row; nothing is encoded.

    slower: by how much longer each frame is shown: more minutes from as many frames.
    """
    with av.open(f"file:{target}", "w") as output:
        with av.open(f"file:{source}") as container:
            stream = output.add_stream_from_template(container.streams.video[0])
        offset = 0
        for _ in range(times):
            with av.open(f"file:{source}") as container:
                video = container.streams.video[0]
                for packet in container.demux(video):
                    if packet.dts is None:
                        continue
                    packet.pts = ((packet.pts or 0) + offset) * slower
                    packet.dts = (packet.dts + offset) * slower
                    packet.stream = stream
                    output.mux(packet)
                offset += video.duration or 0


def peak_megabytes(video: Path, target: Path, overrides: list[str]) -> float:
    """Runs the command -> peak resident memory of its process [MB]. Raises if it fails."""
    return usage_of(video, target, overrides).ru_maxrss / 1024


def usage_of(video: Path, target: Path, overrides: list[str]) -> resource.struct_rusage:
    """Runs the command -> what its process used. Raises CalledProcessError if it fails."""
    return _waited(subprocess.Popen(_command(video, target, overrides)))


def peak_by_segment(video: Path, target: Path, overrides: list[str]) -> Peak:
    """Runs the command. Raises CalledProcessError if it fails."""
    process = subprocess.Popen(_command(video, target, overrides))
    seen: dict[int, float] = {}
    over = threading.Event()
    arguments = (process.pid, folder_of(target), over, seen)
    watch = threading.Thread(target=_watch, args=arguments)
    watch.start()
    try:
        usage = _waited(process)
    finally:
        over.set()
        watch.join()
    return Peak(usage.ru_maxrss / 1024, seen)


def groups(segments: Mapping[int, float], count: int = SHOWN) -> Iterator[tuple[int, int, float]]:
    """The segments in about that many groups -> first and last of each, and the most in it [MB]."""
    numbers = sorted(segments)
    size = max(1, math.ceil(len(numbers) / count))
    for start in range(0, len(numbers), size):
        some = numbers[start : start + size]
        yield some[0], some[-1], max(segments[one] for one in some)


def _command(video: Path, target: Path, overrides: Sequence[str]) -> list[str]:
    files = ["-i", str(video), "-o", str(target)]
    options = ["--quiet", "--overwrite", *overrides]
    return [sys.executable, "-m", "scripts.inference", *files, *options]


def _waited(process: subprocess.Popen[bytes]) -> resource.struct_rusage:
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise subprocess.CalledProcessError(status, process.args)
    return usage


def _watch(process: int, folder: Path, over: threading.Event, seen: dict[int, float]) -> None:
    """Until it is over: looks at the memory of a process, and at how many segments there are."""
    path, page = Path(f"/proc/{process}/statm"), os.sysconf("SC_PAGE_SIZE")
    while not over.wait(EVERY):
        try:
            megabytes = int(path.read_text().split()[1]) * page / 2**20
            done = sum(one.stem.isdigit() for one in folder.glob("*.json"))
        except (OSError, IndexError):
            continue
        if folder.exists():
            seen[done] = max(seen.get(done, 0.0), megabytes)


def _lengths(video: Path, options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """What to call it, and how often the video is repeated."""
    if options.minutes is None:
        yield from (("once", 1), (f"{options.times} times", options.times))
        return
    seconds = probe(video).duration_seconds * options.slower
    for minutes in options.minutes:
        yield f"{minutes:g} min", max(1, round(60 * minutes / seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("video", metavar="VIDEO", type=Path)
    parser.add_argument("--times", type=int, default=10, help="repetitions of the long video")
    parser.add_argument("--minutes", type=float, nargs="+", help="lengths to measure instead")
    parser.add_argument("--slower", type=int, default=1, help="show each frame so much longer")
    options, overrides = parser.parse_known_args()
    with TemporaryDirectory() as folder:
        target, first = Path(folder) / "out.mp4", 0.0
        for name, times in _lengths(options.video, options):
            video = Path(folder) / f"long{options.video.suffix}"
            repeat_video(options.video, video, times, options.slower)
            peak = peak_by_segment(video, target, overrides)
            first = first or peak.megabytes
            print(f"{name:14} {peak.megabytes:7.0f} MB  ({peak.megabytes / first - 1:+.1%})")
            for begin, end, most in groups(peak.segments):
                print(f"  segments {begin:4} to {end:4} {most:7.0f} MB", flush=True)


if __name__ == "__main__":
    main()
