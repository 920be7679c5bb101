"""``cache quantize``: a restorer's network in 8-bit integers, made with faces of the user's videos.

What it gains and what it costs is printed, and can be looked at, before anything uses it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from latentsync.commands.batch import Inputs
from latentsync.commands.console import DONE, use_threads
from latentsync.errors import ConfigError, MediaError
from latentsync.media.files import check_free, check_there

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from latentsync.pipeline.engine import Engine
    from latentsync.runtime.int8 import Note
    from latentsync.settings.schema import Config

FACES, CHECKED = 32, 8
"""Faces, of all videos together, to scale numbers by, and other ones to compare results on."""
SHOWN = 4  # faces on the sheet
STRONGER = 8  # the sheet shows the difference so many times as strong


def add_quantize_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--input",
        nargs="+",
        action=Inputs,
        default=[],
        required=True,
        metavar="VIDEO",
        help="videos like those that you will process, of several people if you can",
    )
    parser.add_argument(
        "--sheet",
        metavar="PNG",
        help="write faces as they are, restored in float32, in int8, and the difference "
        f"{STRONGER} times as strong",
    )


def check_files(options: argparse.Namespace, config: Config) -> None:
    """Raises MediaError and ConfigError: no such video, a sheet that is there already."""
    for name in options.input:
        check_there(Path(name))
    if options.sheet is not None:
        sheet = Path(options.sheet)
        if sheet.suffix.lower() != ".png":
            raise ConfigError("--sheet", sheet, "name a file that ends in .png")
        check_free(sheet, overwrite=config.output.overwrite)


def quantize(options: argparse.Namespace, config: Config) -> int:
    """Raises any LatentSyncError: of the videos, the weights, or where int8 cannot be had."""
    videos = [Path(name) for name in options.input]
    in_int8 = replace(config, runtime=replace(config.runtime, precision="int8"))
    plain = replace(config, runtime=replace(config.runtime, precision="auto"))
    # What follows imports torch, which takes seconds.
    from latentsync.commands.progress import progress_bar
    from latentsync.pipeline.engine import Engine, execution_of
    from latentsync.pipeline.mouth_crops import crops_of
    from latentsync.restoration.base import Quantizable
    from latentsync.runtime import cache, int8
    from latentsync.runtime.execution import torch_threads

    execution_of(in_int8.runtime, networks=True)  # raises where this machine has no int8
    int8.nncf()
    cache.check_writable()
    engine = Engine(plain)
    restorer = engine.restorer
    if not isinstance(restorer, Quantizable):
        raise ConfigError("restore.name", config.restore.name, "only GFPGAN runs in int8")
    use_threads(torch_threads(engine.execution))
    several = len(videos) - 1
    each = max(-(-FACES // several), CHECKED) if several else FACES + CHECKED
    faces, checked = divided(crops_of(plain, videos, each, progress_bar))
    with redirect_stdout(sys.stderr):  # NNCF's progress
        notes = restorer.quantize(faces, checked, lambda part: print(f"quantizing: {part}"))
    _say(notes, len(videos))
    if options.sheet is not None:
        exact = replace(config, runtime=replace(config.runtime, precision="fp32"))
        _write_sheet(_sheet(Engine(exact), Engine(in_int8), checked[:SHOWN]), Path(options.sheet))
        print(
            f"{options.sheet}: faces as they are | float32 | int8 | {STRONGER} times the difference"
        )
    print("use it with runtime.precision=int8")
    return DONE


def divided(crops: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Faces of each video -> those to scale by, and up to CHECKED others to compare on: of the last
    video, where there are several, so that they are of somebody else; else every fifth face.
    Raises ConfigError where there are too few."""
    import numpy as np
    import torch

    from latentsync.pipeline.mouth_crops import spread

    *first, last = crops
    if first:
        return torch.cat(first), last[spread(np.arange(len(last)), CHECKED)]
    is_checked = torch.arange(len(last)) % 5 == 4
    if not is_checked.any():
        raise ConfigError("faces in the video", len(last), "at least 5 are needed")
    return last[~is_checked], last[is_checked]


def _say(notes: dict[str, Note], videos: int) -> None:
    for part, note in notes.items():
        print(f"{part}: {note.speedup:.2f} times as fast; {note}")
    if videos == 1:
        print("they are of the same video: name several, of several people, for a fair comparison")


def _sheet(plain: Engine, fast: Engine, faces: Tensor) -> np.ndarray:
    """(H, W, 3) uint8 RGB: a row for each face."""
    import torch

    made = [engine.restorer(faces) for engine in (plain, fast) if engine.restorer is not None]
    difference = ((made[1] - made[0]) * STRONGER).clamp(-1, 1)
    columns = torch.cat([faces, *made, difference], dim=3)
    rows = torch.cat(list(columns), dim=1).permute(1, 2, 0)
    pixels: np.ndarray = ((rows + 1) * 127.5).round().to(torch.uint8).numpy()
    return pixels


def _write_sheet(sheet: np.ndarray, path: Path) -> None:
    from latentsync.pipeline.preview import write_png
    from latentsync.places import part_file

    try:
        with part_file(path) as part:
            write_png(part, sheet)
    except OSError as error:
        raise MediaError("cannot write the sheet", path, str(error)) from error
