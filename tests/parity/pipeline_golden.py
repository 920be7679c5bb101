"""A whole run of LatentSync, stored: its inputs written as files, and what came of them.

`settings_of` writes the video, the speech and the weights, and gives the settings that make the
same video of them. `run` makes it.
"""

from __future__ import annotations

import json
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from latentsync import Engine, Session, load_config
from latentsync.face.detector import DetectedFace
from latentsync.face.landmarks import CONTROL, LANDMARKS
from latentsync.geometry import TEMPLATE, similarity
from tests.parity.conftest import golden_files
from tests.parity.upstream_run import flattened
from tests.support.media_factory import make_video
from tests.support.tiny_latentsync import write_tiny_model

KIND = "pipeline"

OTHERS = {
    "eye_left": (125, 165),
    "eye_right": (295, 165),
    "nose_tip": (210, 250),
    "mouth_left": (150, 365),
    "mouth_right": (270, 365),
    "lip_upper": (210, 345),
    "lip_lower": (210, 385),
    "chin": (210, 500),
}
"""Pixels of the aligned crop: about where a face has what the golden file does not hold."""
FACE = ((40, 60), (380, 520))
"""Corners of the face's box in the aligned crop."""


@dataclass(frozen=True, eq=False)
class Golden:
    """about: the json. arrays: the npz, see the names there. frames: (F, H, W, 3) uint8 RGB."""

    about: dict[str, Any]
    arrays: dict[str, np.ndarray]
    frames: np.ndarray

    def whole(self, name: str, rows: np.ndarray) -> np.ndarray:
        """(len(rows), H, W, 3): the output frames of those numbers. name: ``final``, ..."""
        top, bottom, left, right = self.arrays["final_box"]
        frames = self.frames[self.arrays["source"][rows]]
        frames[:, top:bottom, left:right] = self.arrays[name]
        return frames


@lru_cache(maxsize=4)
def golden_of(file: Path) -> Golden:
    with np.load(file) as stored:
        arrays = {name: stored[name] for name in stored.files}
    frames = arrays["frames_blocks2"].repeat(2, axis=1).repeat(2, axis=2)
    return Golden(json.loads(file.with_suffix(".json").read_text()), arrays, frames)


def settings_of(golden: Golden, folder: Path, *, step_cache: int = 0) -> dict[str, Any]:
    """Writes all that a run needs below the folder -> its configuration."""
    about = golden.about
    vae = {key: value for key, value in about["vae"].items() if key != "scaling_factor"}
    stages = len(vae["block_out_channels"])
    vae["down_block_types"] = ["DownEncoderBlock2D"] * stages
    vae["up_block_types"] = ["UpDecoderBlock2D"] * stages
    sections = write_tiny_model(
        folder,
        resolution=about["resolution"],
        model=about["unet_config"],
        vae=vae,
        whisper=about["whisper"],
    )
    sections["data"]["num_frames"] = about["num_frames"]
    sections["generate"] |= {
        "steps": about["steps"],
        "guidance": about["guidance_scale"],
        "seed": about["seed"],
        "step_cache": step_cache,
    }
    return sections | {
        "compat": "upstream",
        "input": {
            "video": str(write_video(folder / "video.mkv", golden)),
            "audio": str(write_speech(folder / "speech.wav", golden)),
        },
        "face": {"detector": f"{__name__}:load_detector"},
        "restore": {"name": "none"},
        "runtime": {"device": "cpu", "backend": "torch", "precision": "fp32"},
    }


def run(settings: dict[str, Any]) -> list[np.ndarray]:
    """The output frames, (H, W, 3) uint8 RGB each, before any encoding. settings: settings_of."""
    config = load_config(flags=flattened(settings))
    assert config.input.video is not None
    with Session(Engine(config), config.input.video, audio=config.input.audio) as session:
        return [frame.pixels for frame in session.frames()]


def write_video(path: Path, golden: Golden) -> Path:
    """Lossless RGB: its frames decode to these very pixels."""
    rate = golden.about["fps"]
    return make_video(path, golden.frames, rate=rate, codec="ffv1", pix_fmt="bgr0", options={})


def write_speech(path: Path, golden: Golden) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(golden.about["sample_rate"])
        file.writeframes(golden.arrays["wave"].astype("<i2").tobytes())
    return path


# What upstream was given for a face detector


class StoredLandmarks:
    """See latentsync.face.detector.FaceTracker: knows the golden frames, no others."""

    def __init__(self, known: Mapping[bytes, np.ndarray]) -> None:
        self._known = known

    def __call__(self, pixels: np.ndarray) -> list[DetectedFace]:
        return [detected_face(self._known[pixels.tobytes()])]

    def reset(self) -> None:
        pass


def load_detector(max_faces: int, min_confidence: float) -> StoredLandmarks:
    """For ``face.detector``. A frame that is not, to the pixel, of a golden file is a KeyError."""
    known = {}
    for file in golden_files(KIND):
        golden = golden_of(file)
        for pixels, points in zip(golden.frames, golden.arrays["landmarks"], strict=True):
            known[pixels.tobytes()] = points
    return StoredLandmarks(known)


def detected_face(control: np.ndarray) -> DetectedFace:
    """control: (3, 2) frame pixels, CONTROL's points as they are; the rest of a face about them."""
    to_frame = cv2.invertAffineTransform(similarity(control, TEMPLATE))
    landmarks = np.empty((len(LANDMARKS), 2), np.float32)
    landmarks[CONTROL] = control
    for name, place in OTHERS.items():
        landmarks[LANDMARKS.index(name)] = to_frame @ [*place, 1]
    corners = np.array([to_frame @ [*corner, 1] for corner in FACE])
    return DetectedFace(landmarks, corners.ravel().astype(np.float32), 1.0)
