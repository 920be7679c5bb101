"""Restoration quality: the lower face of a video is degraded, restored, compared with the original.

python -m benchmarks.restoration_quality CLIP [--superres Detail] [--frames 40] [key=value ...]

Nothing is encoded in between, so the figures are the restorer's own. PSNR is computed inside the
degraded region, high-pass and gradient energy in the mouth, relative to the original's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from benchmarks.ready import ready_engine
from latentsync.commands.quiet import quiet_libraries
from latentsync.face.masks import region_mask
from latentsync.media.probe import VideoInfo
from latentsync.media.reader import VideoReader
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.session import Session
from latentsync.pipeline.source import Clip
from latentsync.pipeline.stages.composite import Rendered
from latentsync.settings.load import load_config
from latentsync.types import Alignment, Frame

Degradation = Callable[[np.ndarray], np.ndarray]

_JPEG_QUALITY = 75
_HIGH_PASS = 2.0  # sigma, pixels


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--superres", default="Detail")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("settings", nargs="*", metavar="key=value")
    args = parser.parse_intermixed_args(arguments)
    engine = ready_engine(load_config(None, [f"restore.name={args.superres}", *args.settings]))
    reader = VideoReader(args.clip)
    truth = list(islice(reader, args.frames))
    with Session(engine, Clip(reader.info, truth)) as session:
        alignments = session.analyze().alignments
    print(f"{'':14}restored  sharpness   energy         gradient       PSNR [dB]")
    for name, degrade in DEGRADATIONS.items():
        print(f"{name:14}{_line(engine, reader.info, truth, alignments, degrade)}", flush=True)


def _thirds(pixels: np.ndarray) -> np.ndarray:
    return _enlarged(_third(pixels), pixels)


def _thirds_jpeg(pixels: np.ndarray) -> np.ndarray:
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(_third(pixels), cv2.COLOR_RGB2BGR), quality)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return _enlarged(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), pixels)


def _third(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    return cv2.resize(pixels, (width // 3, height // 3), interpolation=cv2.INTER_AREA)


def _enlarged(small: np.ndarray, like: np.ndarray) -> np.ndarray:
    return cv2.resize(small, like.shape[1::-1], interpolation=cv2.INTER_CUBIC)


DEGRADATIONS: dict[str, Degradation] = {
    "none": lambda pixels: pixels,
    "3x down and up": _thirds,
    "Gaussian 1.5": lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 1.5),
    "3x, JPEG 75": _thirds_jpeg,
}


def _line(
    engine: Engine,
    info: VideoInfo,
    truth: Sequence[Frame],
    alignments: Sequence[Alignment | None],
    degrade: Degradation,
) -> str:
    masks = [in_frame("lower_face", frame, a) for frame, a in zip(truth, alignments, strict=True)]
    mouths = [in_frame("mouth", frame, a) for frame, a in zip(truth, alignments, strict=True)]
    bad = [degraded(frame, mask, degrade) for frame, mask in zip(truth, masks, strict=True)]
    with Session(engine, Clip(info, bad)) as session:
        plan = session.plan
        rows = np.array(list(_figures(truth, session.rendered(), masks, mouths)))
    energy, energy_after, gradient, gradient_after, psnr, psnr_after = np.median(rows, axis=0)
    return (
        f"{(plan.strength > 0).mean():7.0%}{np.nanmedian(plan.sharpness):11.2f}   "
        f"{energy:5.2f} -> {energy_after:.2f}  {gradient:5.2f} -> {gradient_after:.2f}  "
        f"{psnr:6.2f} -> {psnr_after:.2f} ({psnr_after - psnr:+.2f})"
    )


def _figures(
    truth: Sequence[Frame],
    pairs: Iterator[Rendered],
    masks: Sequence[np.ndarray],
    mouths: Sequence[np.ndarray],
) -> Iterator[list[float]]:
    """Per frame with a face: high-pass energy, gradient energy, PSNR, each before and after."""
    for true, pair, mask, mouth in zip(truth, pairs, masks, mouths, strict=True):
        if mask.any():
            both = pair.before, pair.after
            measures = (
                [_high_pass(f, mouth) / _high_pass(true, mouth) for f in both],
                [_gradient(f, mouth) / _gradient(true, mouth) for f in both],
                [_psnr(f, true, mask) for f in both],
            )
            yield [figure for two in measures for figure in two]


def in_frame(region: str, frame: Frame, alignment: Alignment | None) -> np.ndarray:
    """(H, W) float32: the region of the aligned crop, warped into the frame; 0 without a face."""
    height, width = frame.pixels.shape[:2]
    if alignment is None:
        return np.zeros((height, width), np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(region_mask(region), alignment.matrix, (width, height), flags=flags)


def degraded(frame: Frame, mask: np.ndarray, degrade: Degradation) -> Frame:
    share = mask[..., None]
    mixed = frame.pixels * (1 - share) + degrade(frame.pixels) * share
    return replace(frame, pixels=np.rint(mixed).clip(0, 255).astype(np.uint8))


def _luma(frame: Frame) -> np.ndarray:
    return cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _high_pass(frame: Frame, mask: np.ndarray) -> float:
    luma = _luma(frame)
    return float(np.average((luma - cv2.GaussianBlur(luma, (0, 0), _HIGH_PASS)) ** 2, weights=mask))


def _gradient(frame: Frame, mask: np.ndarray) -> float:
    down, across = np.gradient(_luma(frame))
    return float(np.average(down**2 + across**2, weights=mask))


def _psnr(frame: Frame, truth: Frame, mask: np.ndarray) -> float:
    """dB; 99.99 if nothing differs."""
    square = (frame.pixels.astype(np.float32) - truth.pixels) ** 2
    error = float(np.average(square.mean(-1), weights=mask))
    return min(99.99, 10 * np.log10(255**2 / max(error, 1e-9)))


if __name__ == "__main__":
    with quiet_libraries():
        main()
