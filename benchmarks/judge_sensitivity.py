"""What the judge sees: each fault is made for real, and every figure is compared with its noise.

    python -m benchmarks.judge_sensitivity CLIP [--seconds 10] [--json FILE] [--only NAME ...]
                                           [-- flags of the evaluate command]

CLIP: a video with one face that talks as filmed, with its sound; a few seconds are enough. Its
frames are written as they are ("as filmed"), and with one fault each, all at the same CRF, and
judged by the evaluate command against the clip. A cell is the change against "as filmed" over the
noise of that change: above 1 it is beyond noise. Figures that get worse by it stand in bold.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.ready import ready_engine
from benchmarks.table import markdown
from latentsync.commands.quiet import quiet_libraries
from latentsync.face.landmarks import LANDMARKS
from latentsync.face.masks import region_mask
from latentsync.media.audio.reader import read_audio
from latentsync.media.probe import VideoInfo, probe
from latentsync.media.reader import VideoReader
from latentsync.media.settings import EncodeSettings
from latentsync.media.writer import VideoWriter
from latentsync.pipeline.rendering import SHOWN
from latentsync.pipeline.session import Session
from latentsync.settings.load import load_config
from latentsync.tone import sdr
from latentsync.types import Alignment

CRF = 16
SOUND_RATE = 16000
AS_FILMED = "as filmed"
SHIFTS = (1, 3, 8)  # frames by which the sound comes late
JITTER = ((0, 0), (1, 0), (0, 1), (1, 1), (0, 0), (1, 1), (0, 1), (1, 0))  # pixels

Fault = Callable[[np.ndarray, int], np.ndarray]
"""(H, W, 3) float32 code values and the number of the frame -> the same, with the fault."""


@dataclass(frozen=True, slots=True, eq=False)
class Filmed:
    """Some seconds of a clip. alignments: of each frame; None: no face."""

    info: VideoInfo
    alignments: list[Alignment | None]

    @property
    def rate(self) -> float:
        return float(self.info.average_rate)

    def frames(self) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8 RGB."""
        for frame in VideoReader(self.info, stop=len(self.alignments)):
            yield sdr(frame).pixels


def filmed_seconds(clip: Path, seconds: float) -> Filmed:
    """The beginning of a clip. Raises MediaError, and FaceNotFoundError where it shows no face."""
    engine = ready_engine(load_config(None, ["restore.name=none"]))
    with Session(engine, clip) as session:
        analysis = session.analyze()
    count = round(seconds * float(probe(clip).average_rate))
    return Filmed(probe(clip), list(analysis.alignments[:count]))


def blurred(sigma: float) -> Fault:
    return lambda pixels, _: cv2.GaussianBlur(pixels, (0, 0), sigma)


def flickering(pixels: np.ndarray, number: int) -> np.ndarray:
    return blurred(1.5)(pixels, number) if number % 2 else pixels


def jittering(pixels: np.ndarray, number: int) -> np.ndarray:
    right, down = JITTER[number % len(JITTER)]
    move = np.array([[1, 0, right], [0, 1, down]], np.float64)
    return cv2.warpAffine(pixels, move, pixels.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)


def closed(filmed: Filmed) -> Fault:
    """The mouth of the frame in which it is shut most, in every frame."""
    number = min(
        (i for i, one in enumerate(filmed.alignments) if one is not None),
        key=lambda i: _opening(filmed.alignments[i]),
    )
    shut = filmed.alignments[number]
    assert shut is not None
    still = next(pixels for i, pixels in enumerate(filmed.frames()) if i == number)
    to_aligned = np.vstack([shut.matrix, [0, 0, 1]])

    def fault(pixels: np.ndarray, index: int) -> np.ndarray:
        place = filmed.alignments[index]
        assert place is not None
        back = np.linalg.inv(np.vstack([place.matrix, [0, 0, 1]]))
        move = (back @ to_aligned)[:2]
        size, how = pixels.shape[1::-1], cv2.INTER_CUBIC
        moved = cv2.warpAffine(still, move, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
        return moved.astype(np.float32)

    return fault


def faults(filmed: Filmed) -> dict[str, tuple[Fault, bool]]:
    """By name: the fault, and whether the patch with it has a hard edge."""
    return {
        AS_FILMED: (lambda pixels, _: pixels, False),
        "blurred 1.0": (blurred(1.0), False),
        "blurred 1.5": (blurred(1.5), False),
        "flickering": (flickering, False),
        "hard seam": (lambda pixels, number: blurred(1.5)(pixels, number) + 4, True),
        "colour +5": (lambda pixels, _: pixels + 5, False),
        "jitter 1 px": (jittering, False),
        "closed mouth": (closed(filmed), False),
    }


def _opening(place: Alignment | None) -> float:
    assert place is not None
    upper, lower = (place.landmarks[LANDMARKS.index(name)] for name in ("lip_upper", "lip_lower"))
    brows = place.landmarks[1] - place.landmarks[0]
    return float(np.linalg.norm(lower - upper) / np.linalg.norm(brows))


def with_fault(filmed: Filmed, fault: Fault, *, hard: bool) -> Iterator[np.ndarray]:
    """The clip's frames with the fault in the lower face, through a soft or a hard mask."""
    mask = region_mask(SHOWN)
    mask = (mask > 0).astype(np.float32) if hard else mask
    for number, (pixels, place) in enumerate(zip(filmed.frames(), filmed.alignments, strict=True)):
        if place is None:
            yield pixels
            continue
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        share = cv2.warpAffine(mask, place.matrix, pixels.shape[1::-1], flags=flags)[..., None]
        before = pixels.astype(np.float32)
        mixed = before + share * (fault(before, number) - before)
        yield np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def write_video(frames: Iterator[np.ndarray], filmed: Filmed, path: Path) -> None:
    """With the clip's own colours and times, and without its sound."""
    settings = EncodeSettings("libx264", CRF, "veryfast", "yuv420p", roi_offset=0)
    info = replace(filmed.info, audio=())
    originals = VideoReader(filmed.info, stop=len(filmed.alignments))
    with VideoWriter(path, info, settings) as writer:
        for frame, pixels in zip(originals, frames, strict=True):
            writer.write(replace(frame, pixels=pixels, carrier=None))


def write_sound(samples: np.ndarray, late: float, path: Path) -> None:
    """samples: (N,) float32 at SOUND_RATE. late: seconds of silence before them."""
    silence = np.zeros(round(late * SOUND_RATE), np.float32)
    coded = np.clip(np.concatenate([silence, samples])[: len(samples)], -1, 1) * 32767
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SOUND_RATE, 0, "NONE", ""))
        file.writeframes(coded.astype("<i2").tobytes())


def judged(result: Path, source: Path, sound: Path, flags: Sequence[str]) -> dict[str, Any]:
    """The figures of the evaluate command, by name."""
    target = result.with_name(f"{result.stem}.{sound.stem}.json")
    files = [str(result), "--source", str(source), "--audio", str(sound), "--json", str(target)]
    command = [sys.executable, "-m", "scripts.evaluate", *files, "--quiet", *flags]
    subprocess.run(command, check=True)
    figures: dict[str, Any] = json.loads(target.read_text("utf-8"))["figures"]
    return figures


def change_over_noise(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    """Above 0: larger. nan: the noise is not known. Both: a figure of an evaluation."""
    halves = [
        (one["high"] - one["low"]) / 2
        for one in (before, after)
        if one["low"] is not None and one["high"] is not None
    ]
    if len(halves) < 2:
        return math.nan
    return float((after["value"] - before["value"]) / max(math.hypot(*halves), 1e-9))


def worse(figure: Mapping[str, Any], before: float, after: float) -> bool:
    """Whether the figure is worse after than before."""
    if figure["better"] == "near":
        return abs(after - figure["goal"]) > abs(before - figure["goal"])
    return after < before if figure["better"] == "higher" else after > before


def rows(found: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Of the table: a row for each figure, a column for each fault. found: by fault, by figure."""
    filmed = found[AS_FILMED]
    lines = [["figure", AS_FILMED, *(name for name in found if name != AS_FILMED)]]
    for name, figure in filmed.items():
        line = [name, f"{figure['value']:.3g} {figure['unit']}".strip()]
        for fault, figures in found.items():
            if fault != AS_FILMED:
                line.append(_cell(figure, figures[name]) if name in figures else "-")
        lines.append(line)
    return lines


def _cell(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    times = change_over_noise(before, after)
    text = f"{after['value']:.3g} ({times:+.1f})"
    seen = abs(times) > 1 and worse(before, before["value"], after["value"])
    return f"**{text}**" if seen else text


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="of the faults in frames; without shifted sound"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures")
    parser.add_argument("flags", nargs="*", help="after --: passed on to the evaluate command")
    args = parser.parse_args(arguments)
    filmed = filmed_seconds(args.clip, args.seconds)
    samples = read_audio(args.clip, SOUND_RATE)
    with tempfile.TemporaryDirectory() as folder:
        found = dict(_all(filmed, samples, Path(folder), args))
    if args.json is not None:
        args.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(markdown(rows(found)))


def _all(
    filmed: Filmed, samples: np.ndarray, folder: Path, args: argparse.Namespace
) -> Iterator[tuple[str, dict[str, Any]]]:
    judge = partial(judged, source=args.clip, flags=args.flags)
    sounds = {late: folder / f"late{late}.wav" for late in (0, *SHIFTS)}
    for late, path in sounds.items():
        write_sound(samples, late / filmed.rate, path)
    wanted = None if not args.only else {AS_FILMED, *args.only}
    for number, (name, (fault, hard)) in enumerate(faults(filmed).items()):
        if wanted is not None and name not in wanted:
            continue
        path = folder / f"{number}.mp4"
        write_video(with_fault(filmed, fault, hard=hard), filmed, path)
        yield name, judge(path, sound=sounds[0])
        if name == AS_FILMED and wanted is None:
            for late in SHIFTS:
                yield f"sound {late} late", judge(path, sound=sounds[late])


if __name__ == "__main__":
    with quiet_libraries():
        main()
