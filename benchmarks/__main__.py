"""One table: the time that each part of the work takes here, and with a plain baseline.

    python -m benchmarks [--video VIDEO] [--only NAME ...] [--unet] [--json FILE]
    python -m benchmarks --peers [--quick] [--only NAME ...] [--json FILE]

Each benchmark runs in a process of its own, so that its peak memory is known. Converted networks go
to a temporary folder; conversion has a row of its own. Takes 5 to 10 minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import machine, peak_megabytes
from benchmarks.table import Row, as_json, table

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "assets" / "demo_speaker.mp4"
RESTORERS = ("gfpgan", "codeformer")
CONVERTED = (*RESTORERS, "whisper", "vae", "unet")
BENCHMARKS = ("floor", "frame", "detail", *CONVERTED)
OF_PEERS = ("latentsync", "musetalk")
"""Networks that only --peers compares, beside RESTORERS."""
BY_DEFAULT = tuple(name for name in BENCHMARKS if name != "unet")


def benchmark_of(name: str, video: Path) -> Callable[[Path], list[Row]]:
    """The benchmark of that name; takes a folder for its files. Imports only what it needs."""
    if name in CONVERTED:
        return partial(_converted(name).measured, name)
    if name == "floor":
        from benchmarks.floor import floor

        return floor
    if name == "frame":
        from benchmarks.around import frame_work

        return partial(frame_work, video=video)
    from benchmarks.command import detail

    return partial(detail, video=video)


def prepare(name: str, folder: Path) -> list[Row]:
    """Converts the benchmark's networks, as the first run of a command does."""
    module = _converted(name)
    begin = time.perf_counter()
    module.ready(name, folder)
    return [Row(f"{name}, conversion, once", time.perf_counter() - begin, peak=peak_megabytes())]


def _converted(name: str) -> Any:
    """The module with its ready() and measured()."""
    return import_module("benchmarks.restorers" if name in RESTORERS else "benchmarks.lipsync")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.peers:
        from benchmarks.peers.run import main as compare  # which needs further packages

        return compare(options)
    if options.quick or {*(options.only or ())} - {*BENCHMARKS}:
        parser.error(f"--quick and {', '.join(OF_PEERS)} belong to --peers")
    if options.benchmark is not None:
        act = partial(prepare, options.benchmark) if options.prepare else None
        found = (act or benchmark_of(options.benchmark, options.video))(options.folder)
        print(json.dumps([asdict(row) for row in found]))
        return 0
    wanted = options.only or [*BY_DEFAULT, *(["unet"] if options.unet else [])]
    rows: list[Row] = []
    failed = []
    with TemporaryDirectory(prefix="latentsync-benchmarks-") as folder:
        for name in wanted:
            try:
                rows += _measured(name, options.video, Path(folder))
            except subprocess.CalledProcessError as error:
                print(f"{name}: failed, exit code {error.returncode}", file=sys.stderr)
                failed.append(name)
    here = machine()
    print(", ".join(f"{key} {value}" for key, value in here.items()))
    print(table(rows))
    if options.json is not None:
        options.json.write_text(as_json(rows, here), "utf-8")
    return 1 if failed else 0


def _measured(name: str, video: Path, folder: Path) -> list[Row]:
    """Runs the benchmark, in processes of its own."""
    begin = time.perf_counter()
    print(f"{name} ...", file=sys.stderr, flush=True)
    # Where converted networks are kept. The licence covers published weights; none are used here.
    own = {"LATENTSYNC_CACHE": str(folder / "cache"), "LATENTSYNC_ACCEPT_LICENCES": "CodeFormer"}
    files = ["--video", str(video.resolve()), "--folder", str(folder)]
    command = [sys.executable, "-m", "benchmarks", "--benchmark", name, *files]
    rows = []
    for more in (["--prepare"], []) if name in CONVERTED else ([],):
        done = subprocess.run(
            [*command, *more],
            env=os.environ | own,
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        rows += [Row(**row) for row in json.loads(done.stdout.splitlines()[-1])]
    print(f"{name}: {time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--video", type=Path, default=DEMO, help="video for the benchmarks detail and frame"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=(*BENCHMARKS, *OF_PEERS),
        metavar="NAME",
        help=f"{', '.join(BENCHMARKS)}; with --peers {', '.join((*RESTORERS, *OF_PEERS))}",
    )
    parser.add_argument(
        "--peers", action="store_true", help="other projects' ways to run the networks, beside ours"
    )
    parser.add_argument(
        "--quick", action="store_true", help="with --peers: fewer frames, under 10 minutes"
    )
    parser.add_argument(
        "--unet", action="store_true", help="also a U-Net of half width: minutes more"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the figures to this file"
    )
    parser.add_argument("--benchmark", choices=BENCHMARKS, help=argparse.SUPPRESS)
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
