"""Peak memory of the command for a video, and for the same video repeated.

    python -m benchmarks.memory VIDEO [--times 10] [key=value ...]

Runs the real command on both and prints the peak resident memory of each process.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import av


def repeat_video(source: Path, target: Path, times: int) -> None:
    """Writes the packets of the video stream several times in a row; nothing is encoded."""
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
                    packet.pts = (packet.pts or 0) + offset
                    packet.dts += offset
                    packet.stream = stream
                    output.mux(packet)
                offset += video.duration or 0


def peak_megabytes(video: Path, target: Path, overrides: list[str]) -> float:
    """Runs the command -> peak resident memory of its process [MB]. Raises if it fails."""
    return usage_of(video, target, overrides).ru_maxrss / 1024


def usage_of(video: Path, target: Path, overrides: list[str]) -> resource.struct_rusage:
    """Runs the command -> what its process used. Raises CalledProcessError if it fails."""
    files = ["-i", str(video), "-o", str(target)]
    command = [
        sys.executable,
        "-m",
        "scripts.inference",
        *files,
        "--quiet",
        "--overwrite",
        *overrides,
    ]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise subprocess.CalledProcessError(status, command)
    return usage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("video", metavar="VIDEO", type=Path)
    parser.add_argument("--times", type=int, default=10, help="repetitions of the long video")
    options, overrides = parser.parse_known_args()
    with TemporaryDirectory() as folder:
        target = Path(folder) / "out.mp4"
        long_video = Path(folder) / f"long{options.video.suffix}"
        repeat_video(options.video, long_video, options.times)
        once = peak_megabytes(options.video, target, overrides)
        often = peak_megabytes(long_video, target, overrides)
    print(f"once           {once:7.0f} MB")
    print(f"{options.times:3d} times      {often:7.0f} MB  ({often / once - 1:+.1%})")


if __name__ == "__main__":
    main()
