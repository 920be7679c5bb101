"""python -m benchmarks --peers: the same networks as other projects run them, beside ours."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import machine
from benchmarks.peers import tables
from benchmarks.peers.clips import CLIPS, write_clips
from benchmarks.peers.contestant import CONTESTANTS, RESTORERS, Setup, all_in
from benchmarks.peers.process import ROOT, Process
from benchmarks.peers.rounds import Figures, measure

PACKAGES = ("onnx", "onnxruntime")
REQUIREMENTS = "benchmarks/requirements-peers.txt"
NOT_RUN = {
    "facefusion's own model files": "not downloaded; its graphs are exported here instead",
    "RetinaFace, YOLO-Face, 2DFAN": "no weights here: faces are found by this project's detector",
    "Real-ESRGAN for the background": "not restoration of a face: upscale is 1",
    "KEEP, DicFace, GPEN, RestoreFormer++": "networks that this project does not define",
    "SeedVR2, SVFR, X-Dub, LTX LipDub, InfiniteTalk": "ask for a GPU of 16 GB and more",
    "insightface, DWPose, BiSeNet": "no weights here: detection and parsing are left out",
}
"""What does not take part -> why."""


def main(options: argparse.Namespace) -> int:
    """Prints the tables. Exit status 2 where a package is missing, 1 where a network failed."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"error: {', '.join(missing)}: not installed; pip install -r {REQUIREMENTS}",
            file=sys.stderr,
        )
        return 2
    found: dict[str, Any] = {}
    failed = False
    with TemporaryDirectory(prefix="latentsync-peers-") as folder:
        frames = 4 if options.quick else 16
        setup = Setup(Path(folder), frames)
        write_clips(setup.folder, options.video)
        for network in options.only or CONTESTANTS:
            try:
                found[network] = _compared(network, setup, quick=options.quick)
            except (subprocess.CalledProcessError, RuntimeError) as error:
                print(f"{network}: {error}", file=sys.stderr)
                failed = True
    here = machine()
    print(", ".join(f"{key} {value}" for key, value in here.items()))
    print("Medians of the clock, and in brackets the seconds of all cores together.")
    for network, one in found.items():
        _show(network, one, frames)
    print("\nNot compared:", *(f"  {name}: {why}" for name, why in NOT_RUN.items()), sep="\n")
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": here, **_plain(found)}, indent=1), "utf-8")
    return int(failed)


def _compared(network: str, setup: Setup, *, quick: bool) -> tuple[dict[str, str], Figures]:
    """What each contestant is, and its figures."""
    begin = time.perf_counter()
    own = {
        "LATENTSYNC_CACHE": str(setup.folder / "cache"),
        "LATENTSYNC_ACCEPT_LICENCES": "CodeFormer",  # of published weights; none are used here
    }
    given = [network, str(setup.folder), str(setup.frames)]
    command = [sys.executable, "-m", "benchmarks.peers.prepare", *given]
    _say(f"{network}: preparing ...")
    subprocess.run(command, env=os.environ | own, cwd=ROOT, check=True, stdout=sys.stderr)
    _say(f"{network}: prepared in {time.perf_counter() - begin:.0f} s; measuring ...")
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(Process(network, name, setup, own))
            for name in CONTESTANTS[network]
        }
        figures = measure(
            running,
            skip=[all_in(CLIPS[-1].name)] if quick else [],
            rounds=2 if quick else 3,
            seconds=90 if quick else 300,
        )
        about = {name: process.about for name, process in running.items()}
    _say(f"{network}: {time.perf_counter() - begin:.0f} s")
    return about, figures


def _show(network: str, one: tuple[dict[str, str], Figures], frames: int) -> None:
    about, figures = one
    print(f"\n{network}", *(f"  {name}: {what}" for name, what in about.items()), "", sep="\n")
    if network in RESTORERS:
        print(tables.restored(figures))
        print(tables.parsing(figures))
        return
    print(f"Chunks of {frames} frames.\n" if network == "latentsync" else "")
    print(tables.steps(figures))
    print()
    whole = tables.latentsync(figures, frames) if network == "latentsync" else None
    print(whole or tables.musetalk(figures))


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    return {
        network: {
            name: {
                "about": about[name],
                "tasks": {task: asdict(one) for task, one in figures[name].items()},
            }
            for name in figures
        }
        for network, (about, figures) in found.items()
    }


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
