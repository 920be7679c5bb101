"""Self against Detail on a real clip: Self is fitted to the first half, both restore the end.

    python -m benchmarks.self_restoration CLIP [CLIP ...] [--frames 40] [--crf 23] [--only NAME ...]

The lower face is degraded in ways unknown to the restorers, at the end of the video, far from what
Self is fitted to; with --crf these frames are then encoded. Figures are of the mouth region, in its
box at the frame's own scale: gain in RGB PSNR over the degraded input, as measured against the
original, and as Self claims it (on held-out mouths with the degradation that it simulates); SSIM
and correlation of fine detail of the luma, gradient energy relative to the original's, and
frame-to-frame change of the added detail relative to that of the missing detail.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.degradations import Degradation, degradations, encoded
from benchmarks.ready import ready_engine
from latentsync.commands.quiet import quiet_libraries
from latentsync.face.masks import region_mask, rest_mask
from latentsync.geometry import extract
from latentsync.pipeline.analysis import place_of
from latentsync.pipeline.session import Session
from latentsync.restoration.base import Restorer
from latentsync.restoration.detail import Detail
from latentsync.restoration.edge_blur import FacePlace, edge_figures
from latentsync.restoration.mouth_blur import EdgeVariances, TrackBlur
from latentsync.restoration.patch import PatchGeometry
from latentsync.restoration.personal.restorer import PersonalizedRestorer
from latentsync.restoration.sharpness import SharpnessMeter
from latentsync.settings.load import load_config
from latentsync.types import Frame

_FINE = 2.0  # sigma, pixels: fine detail is what a Gaussian of it removes
_SSIM_SIGMA, _SSIM_CONSTANTS = 1.5, (6.5025, 58.5225)  # Wang et al. 2004, for 8 bits
_MARGIN = 24  # frame pixels around the face, so that a degradation meets no border


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """frames: of one track. matrices: (2, 3) each, frame -> aligned crop. places: of its face.
    seconds: (F,)."""

    frames: list[Frame]
    matrices: list[np.ndarray]
    places: list[FacePlace]
    seconds: np.ndarray
    geometry: PatchGeometry
    meter: SharpnessMeter

    def crop(self, pixels: np.ndarray, index: int) -> torch.Tensor:
        return extract(pixels, self.geometry.matrix(self.matrices[index]), self.geometry.size)

    def degraded(self, index: int, degrade: Degradation) -> np.ndarray:
        """The frame with its lower face degraded, through a soft mask."""
        pixels = self.frames[index].pixels.copy()
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = pixels.shape[1::-1]
        mask = cv2.warpAffine(region_mask("lower_face"), self.matrices[index], size, flags=flags)
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        part = _window(rows, size[1]), _window(columns, size[0])
        share = mask[part][..., None]
        mixed = pixels[part] * (1 - share) + degrade(pixels[part], index) * share
        pixels[part] = np.rint(mixed).clip(0, 255).astype(np.uint8)
        return pixels

    def detail(self, pixels: Sequence[np.ndarray], indices: Sequence[int]) -> Detail:
        """Detail, tuned as in the pipeline, to the degraded frames and the person's own mouth."""
        pairs = list(zip(pixels, indices, strict=True))
        energies = [self.meter(p, self.matrices[i]) for p, i in pairs]
        edges = np.stack([edge_figures(p, self.places[i]) for p, i in pairs])
        matrices = np.stack(self.matrices)
        first = range(0, len(self.frames) // 2, 3)
        own = np.stack([edge_figures(self.frames[i].pixels, self.places[i]) for i in first])
        blur = TrackBlur.of(
            EdgeVariances.of(edges, matrices[list(indices)]),
            matrices[list(indices)],
            EdgeVariances.of(own, matrices[list(first)]),
        )
        return Detail().tuned(np.stack(energies), blur)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument(
        "--frames", type=int, default=40, help="the last ones, at most half of the video"
    )
    parser.add_argument("--crf", type=int, help="of an encode after the degradation; none without")
    parser.add_argument("--only", nargs="+", choices=list(degradations()), metavar="NAME")
    parser.add_argument("--settings", nargs="*", default=[], metavar="key=value")
    args = parser.parse_args(arguments)
    for clip in args.clips:
        scene = _scene(clip, args.settings)
        print(f"{clip}: {len(scene.frames)} frames, box {scene.geometry.size}")
        print(
            f"{'':17}{'':8}  PSNR gain  claimed   SSIM             fine detail    gradient", end=""
        )
        print("      flicker   fit [s]  ms/frame  used")
        for name in args.only or degradations():
            for line in _lines(scene, degradations()[name], args.frames, args.crf):
                print(f"{name:17}{line}", flush=True)


def _scene(clip: Path, settings: Sequence[str]) -> Scene:
    """Raises LatentSyncError if there is no face."""
    engine = ready_engine(load_config(None, ["restore.name=Detail", *settings]))
    with Session(engine, clip) as session:
        analysis, plan = session.analyze(), session.plan
        track, chosen = max(analysis.frames_by_track().items(), key=lambda item: len(item[1]))
        frames = list(session.source.shown(chosen))
    matrices, seconds = list(analysis.matrices[chosen]), analysis.pts_seconds[chosen]
    meter = SharpnessMeter(region_mask("mouth"), rest_mask())
    faces = [analysis.alignments[number] for number in chosen]
    places = [
        place_of(face.landmarks, matrix)
        for face, matrix in zip(faces, matrices, strict=True)
        if face is not None
    ]
    return Scene(frames, matrices, places, seconds, plan.tracks[track].geometry, meter)


def _lines(scene: Scene, degrade: Degradation, count: int, crf: int | None) -> list[str]:
    half = len(scene.frames) // 2
    tried = range(max(half, len(scene.frames) - count), len(scene.frames))
    pixels = [scene.degraded(i, degrade) for i in tried]
    pixels = pixels if crf is None else encoded(pixels, crf)
    bad = torch.stack([scene.crop(p, i) for p, i in zip(pixels, tried, strict=True)])
    truth = torch.stack([scene.crop(scene.frames[i].pixels, i) for i in tried])
    own = [scene.crop(scene.frames[i].pixels, i) for i in range(half)]
    detail, mask = scene.detail(pixels, tried), scene.geometry.mask
    begin = time.perf_counter()
    fitted = PersonalizedRestorer().fit(
        own, bad, seconds=scene.seconds[:half], mask=mask, fallback=detail
    )
    fit = time.perf_counter() - begin
    assert fitted.fit_result is not None
    result = fitted.fit_result
    first = _line(fitted, bad, truth, mask, claimed=result.gains.get(result.used, 0.0))
    second = _line(detail, bad, truth, mask, claimed=result.gains.get(detail.name, 0.0))
    poor = f" (error {result.degradation_error:.1f})" if result.poor_fit else ""
    return [
        first.replace("FIT", f"{fit:8.1f}") + f"  {result.used}{poor}",
        second.replace("FIT", f"{'':8}"),
    ]


def _line(
    restorer: Restorer, bad: torch.Tensor, truth: torch.Tensor, mask: np.ndarray, *, claimed: float
) -> str:
    """claimed: gain in PSNR, dB, by Self's own measure."""
    restorer(bad[:1])
    begin = time.perf_counter()
    added = torch.cat([restorer(batch) - batch for batch in bad.split(4)])
    spent = (time.perf_counter() - begin) / len(bad) * 1000
    after = (bad + added * torch.from_numpy(mask)).clamp(-1, 1)
    before_after = [_code_values(bad), _code_values(after)]
    true = _code_values(truth)
    psnr = [_psnr(pixels, true, mask) for pixels in before_after]
    lumas = [_lumas(p) for p in (*before_after, true)]
    ssim = [_mean(_ssim, p, lumas[2], mask) for p in lumas[:2]]
    fine = [_mean(_fine_correlation, p, lumas[2], mask) for p in lumas[:2]]
    gradient = [_mean(_gradient_share, p, lumas[2], mask) for p in lumas[:2]]
    flicker = _flicker(lumas[1] - lumas[0], mask) / max(_flicker(lumas[2] - lumas[0], mask), 1e-6)
    return (
        f"{restorer.name:8}  {psnr[1] - psnr[0]:+6.2f} dB  {claimed:+6.2f} dB  "
        f"{ssim[0]:.4f} -> {ssim[1]:.4f}  "
        f"{fine[0]:.3f} -> {fine[1]:.3f}  {gradient[0]:.2f} -> {gradient[1]:.2f}  "
        f"{flicker:6.2f}  FIT  {spent:8.1f}"
    )


def _window(inside: np.ndarray, length: int) -> slice:
    """The mask's rows or columns, with a margin; a multiple of 24 long, for whole small pixels."""
    start = max(int(inside[0]) - _MARGIN, 0)
    return slice(start, start + (min(int(inside[-1]) + _MARGIN + 24, length) - start) // 24 * 24)


def _code_values(faces: torch.Tensor) -> np.ndarray:
    """(N, 3, h, w) [-1, 1] -> (N, h, w, 3) float32, whole code values as in a frame."""
    return ((faces + 1) * 127.5).round().permute(0, 2, 3, 1).numpy()


def _lumas(pixels: np.ndarray) -> np.ndarray:
    return pixels @ np.array([0.299, 0.587, 0.114], np.float32)


def _psnr(pixels: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """dB, mean over the frames; 99 if nothing differs."""
    errors = ((pixels - truth) ** 2).mean(-1).reshape(len(truth), -1) @ mask.ravel() / mask.sum()
    return float(np.minimum(10 * np.log10(255**2 / np.maximum(errors, 1e-9)), 99).mean())


def _mean(
    figure: Callable[[np.ndarray, np.ndarray, np.ndarray], float],
    lumas: np.ndarray,
    truth: np.ndarray,
    mask: np.ndarray,
) -> float:
    return float(np.mean([figure(a, b, mask) for a, b in zip(lumas, truth, strict=True)]))


def _ssim(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    def blur(x: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(x, (0, 0), _SSIM_SIGMA)

    mean_a, mean_b = blur(a), blur(b)
    spread = blur(a * a) - mean_a**2 + blur(b * b) - mean_b**2
    common = blur(a * b) - mean_a * mean_b
    c1, c2 = _SSIM_CONSTANTS
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float(np.average(luminance * (2 * common + c2) / (spread + c2), weights=mask))


def _fine_correlation(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    a, b = (x - cv2.GaussianBlur(x, (0, 0), _FINE) for x in (a, b))
    products = [float(np.average(x * y, weights=mask)) for x, y in ((a, b), (a, a), (b, b))]
    return products[0] / (products[1] * products[2]) ** 0.5


def _gradient_share(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    energies = [sum(g**2 for g in np.gradient(x)) for x in (a, b)]
    return float((energies[0] * mask).sum() / (energies[1] * mask).sum())


def _flicker(residual: np.ndarray, mask: np.ndarray) -> float:
    """RMS of the change from frame to frame in the mask."""
    change = np.diff(residual, axis=0) ** 2
    return float(np.average(change.mean(0), weights=mask) ** 0.5)


if __name__ == "__main__":
    with quiet_libraries():
        main()
