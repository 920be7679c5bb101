"""The images of the README: the demo clip, restored, before and after, and mouths side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from latentsync.commands import inference
from latentsync.media.reader import VideoReader

ASSETS = Path("assets")
LIPSYNCED, ORIGINAL = ASSETS / "demo_lipsynced.mp4", ASSETS / "demo_talking.mp4"
ANIMATION, COMPARISON = ASSETS / "before_after.webp", ASSETS / "restorers.jpg"

FACE = (slice(165, 395), slice(125, 515))  # rows, columns of the demo clip
MOUTH = (slice(285, 350), slice(250, 380))
ENLARGED = 3  # times; an enlarged mouth is as wide as the face that is shown
GAP, LABEL_HEIGHT, FONT_SIZE = 4, 30, 18  # pixels
MILLISECONDS = 80  # per frame: half the speed of the clip's 25 fps
COMPARED = (12, 37)
"""Frames of the comparison: an open mouth and a nearly closed one."""
WEBP_QUALITY, JPEG_QUALITY = 80, 92


def make_images() -> None:
    """Restores the demo clip and writes ANIMATION and COMPARISON."""
    with tempfile.TemporaryDirectory() as folder:
        detail, personal = (restored(name, Path(folder)) for name in ("Detail", "Self"))
        save_animation(LIPSYNCED, detail, ANIMATION)
        columns = {"input": LIPSYNCED, "Detail": detail, "Self": personal, "original": ORIGINAL}
        save_comparison(columns, COMPARISON)
    for path in (ANIMATION, COMPARISON):
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def restored(name: str, folder: Path) -> Path:
    """The demo clip, restored. name: of a restorer that needs no weights."""
    target = folder / f"{name}.mp4"
    arguments = ["--input", str(LIPSYNCED), "--output", str(target), "--superres", name, "--quiet"]
    if name == "Self":
        arguments += ["--reference", str(ORIGINAL)]
    if inference.main(arguments):
        raise SystemExit(f"the demo clip could not be restored with {name}")
    return target


def save_animation(before: Path, after: Path, target: Path) -> None:
    """Saves both videos side by side, at half speed, in a loop."""
    images = [compared(*pair) for pair in zip(frames(before), frames(after), strict=True)]
    images[0].save(
        target,
        save_all=True,
        append_images=images[1:],
        duration=MILLISECONDS,
        loop=0,
        quality=WEBP_QUALITY,
        method=4,  # 6 gains little here
    )


def compared(before: np.ndarray, after: np.ndarray) -> Image.Image:
    """Two panels side by side. before, after: (H, W, 3) uint8 RGB."""
    left, right = panel(before), panel(after)
    gap = np.full((len(left), GAP, 3), 255, np.uint8)
    pixels = np.concatenate([left, gap, right], axis=1)
    return labelled(pixels, ["before", "after (Detail)"])


def panel(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB -> (h, w, 3): the face, and below it the mouth, enlarged."""
    face = pixels[FACE]
    gap = np.full((GAP, face.shape[1], 3), 255, np.uint8)
    return np.concatenate([face, gap, enlarged_mouth(pixels)], axis=0)


def enlarged_mouth(pixels: np.ndarray) -> np.ndarray:
    mouth = pixels[MOUTH]
    return np.asarray(
        cv2.resize(mouth, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
    )


def save_comparison(columns: dict[str, Path], target: Path) -> None:
    """Saves enlarged mouths: a column for each video, a row for each frame of COMPARED."""
    mouths = {
        name: [enlarged_mouth(next(islice(frames(path), index, None))) for index in COMPARED]
        for name, path in columns.items()
    }
    stacked = [np.concatenate(rows, axis=0) for rows in mouths.values()]
    image = labelled(np.concatenate(stacked, axis=1), list(mouths))
    image.save(target, quality=JPEG_QUALITY)


def labelled(pixels: np.ndarray, labels: Sequence[str]) -> Image.Image:
    """(h, w, 3) uint8 RGB, with a line above it that has a label in the middle of each column."""
    height, width = pixels.shape[:2]
    image = Image.new("RGB", (width, height + LABEL_HEIGHT), "white")
    image.paste(Image.fromarray(pixels), (0, LABEL_HEIGHT))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(FONT_SIZE)
    for number, label in enumerate(labels):
        middle = (number + 0.5) * width / len(labels), LABEL_HEIGHT / 2
        draw.text(middle, label, fill="black", font=font, anchor="mm")
    return image


def frames(video: Path) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8 RGB each."""
    return (frame.pixels for frame in VideoReader(video))
