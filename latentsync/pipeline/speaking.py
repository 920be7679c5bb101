"""What deciding who speaks needs besides face.speaking: the audio's side and LR-ASD's side.

who_speaks.py calls this for the people of a video; face/speaking.py compares the faces, and is
called twice here: the second time with a regression fitted to each face.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from latentsync.errors import CheckpointError
from latentsync.face.active_speaker import FRAME_RATE, MouthScorer, windowed_mean
from latentsync.face.landmarks import LANDMARKS
from latentsync.face.speaking import Speaking, Speech, TalkingFace, who_speaks
from latentsync.frame_times import frame_duration
from latentsync.generate.replay.lips import fit_lips
from latentsync.models import lr_asd
from latentsync.models.lr_asd import CROP, FRAME_REACH, LrAsd
from latentsync.runtime.execution import Execution
from latentsync.runtime.network import Networks, Part
from latentsync.speech.acoustic import Acoustics, compute_acoustics
from latentsync.speech.mel import measure
from latentsync.speech.mouth_prediction import mouth_signals
from latentsync.weights.find import find
from latentsync.weights.load import build
from latentsync.weights.manifest import LR_ASD

FITTED_SECONDS = 4.0
"""Speech of one face from which a regression is fitted to it."""
SURE = 0.8
"""Probability that a face speaks from which its frames are used to fit."""
_AT_ONCE = 1500  # frames whose acoustic features are computed at once
_MOST = 9000  # frames that are fitted to: 6 minutes
_CHUNK = 2 * FRAME_RATE
"""Frames that are encoded at once, besides FRAME_REACH on both sides."""


def measure_speech(blocks: Iterable[np.ndarray], acoustics: Acoustics | None = None) -> Speech:
    """blocks: each iteration yields the whole audio: (n,) float32 mono at 16 kHz, [-1, 1].

    acoustics: of the same audio, if known. Raises ValueError: no samples.
    """
    extent = measure(blocks)
    acoustics = compute_acoustics(blocks, extent) if acoustics is None else acoustics
    return Speech(acoustics.speech, mouth_signals(blocks, acoustics, extent))


def who_speaks_when(faces: Sequence[TalkingFace], speech: Speech, acoustics: Acoustics) -> Speaking:
    """The decision in two rounds; acoustics: of the same audio as `speech`.

    In the second one the lips of a face are also compared with what a regression predicts from the
    audio, fitted to those frames in which the face probably spoke in the first round.
    """
    first = who_speaks(faces, speech)
    fitted = [
        _fitted(face, first.at(face.seconds)[place], acoustics) for place, face in enumerate(faces)
    ]
    if all(face.predicted is None for face in fitted):
        return first
    return who_speaks(fitted, speech)


def _fitted(face: TalkingFace, speaking: np.ndarray, acoustics: Acoustics) -> TalkingFace:
    """speaking: (F,) probability. The same face where it spoke too little."""
    lips = np.column_stack([face.aperture, face.width])
    known = np.flatnonzero(np.isfinite(lips).all(axis=1))
    chosen = known[speaking[known] > SURE]
    if not len(chosen) or len(chosen) * frame_duration(face.seconds) < FITTED_SECONDS:
        return face
    chosen = chosen[:: 1 + len(chosen) // _MOST]
    seconds = face.seconds[chosen]
    regression = fit_lips(acoustics.around(seconds), lips[chosen], seconds)
    predicted = [
        regression.expected(acoustics.around(part), part)
        for part in np.split(face.seconds, range(_AT_ONCE, len(face.seconds), _AT_ONCE))
    ]
    return replace(face, predicted=np.concatenate(predicted), reliability=regression.reliability)


def talking_face(
    seconds: np.ndarray,
    landmarks: np.ndarray,
    boxes: np.ndarray,
    scored: tuple[np.ndarray, np.ndarray] | None = None,
) -> TalkingFace:
    """seconds: (F,) rising. landmarks: (F, 11, 2), boxes: (F, 4) frame pixels; NaN: no face.

    scored: of MouthClips.finish; None: not scored.
    """
    width = np.maximum(boxes[:, 2] - boxes[:, 0], 1e-6)
    aperture = _distance(landmarks, "lip_upper", "lip_lower") / width
    lips = _distance(landmarks, "mouth_left", "mouth_right") / width
    if scored is None:
        return TalkingFace(seconds, aperture, lips)
    times, scores = scored
    return TalkingFace(seconds, aperture, lips, times, scores[:, 0], scores[:, 1])


def load_mouth_scorer(
    execution: Execution, *, folders: Sequence[str | Path] = ()
) -> MouthScorer | None:
    """LR-ASD as the execution runs networks, in float32; None: its weights are not here.

    Raises CheckpointError for a damaged file.
    """
    try:
        path = find(LR_ASD, folders=folders)
    except CheckpointError:
        return None
    return LrAsdScorer(path, execution)


class LrAsdScorer:
    """A MouthScorer. 5 to 8 ms a frame by OpenVINO on one core, several times that by PyTorch.

    The visual encoder, which takes nearly all of the time, runs once for each frame; upstream runs
    it for each of the windows.
    """

    def __init__(self, path: Path, execution: Execution) -> None:
        self._network = build(LrAsd, LR_ASD, path, torch.device("cpu"))
        networks = Networks(
            lambda dtype: build(LrAsd, LR_ASD, path, execution.device, dtype=dtype, logged=True),
            name=LR_ASD.key,
            checkpoint=path,
            execution=execution,
            sources=[lr_asd],
        )
        frames = torch.zeros(1, _CHUNK + 2 * FRAME_REACH, CROP, CROP)
        self._encode = networks.part(Part("frames", _FrameEncoder, precise=True), frames)

    @torch.no_grad()
    def __call__(
        self, crops: np.ndarray, cepstra: np.ndarray, *, before: int = 0, after: int = 0
    ) -> np.ndarray:
        count = len(crops) - before - after
        visual = self._encoded(crops, before, after)
        audio = self._network.encode_cepstra(torch.from_numpy(cepstra).float()[None])
        audio = audio[:, before : before + count]
        activity = self._network.visual_logits(visual)[0, :, 1].numpy()

        def score(start: int, stop: int) -> np.ndarray:
            fused = self._network.fuse(visual[:, start:stop], audio[:, start:stop])
            return self._network.logits(fused)[0, :, 1].numpy()

        return np.column_stack([windowed_mean(score, count), activity])

    def _encoded(self, crops: np.ndarray, before: int, after: int) -> Tensor:
        """(N, 112, 112) uint8 -> (1, N - before - after, 128), without the context at the ends.

        Where there is less context than FRAME_REACH, the first and last frame are repeated.
        """
        count = len(crops) - before - after
        first = np.repeat(crops[:1], FRAME_REACH - before, 0)
        last = np.repeat(crops[-1:], FRAME_REACH - after + -count % _CHUNK, 0)
        padded = np.concatenate([first, crops, last])
        parts = []
        for start in range(0, count, _CHUNK):
            chunk = torch.from_numpy(padded[start : start + _CHUNK + 2 * FRAME_REACH])
            (encoded,) = self._encode(chunk.float()[None])
            parts.append(encoded[:, FRAME_REACH : FRAME_REACH + _CHUNK].float().cpu())
        return torch.cat(parts, dim=1)[:, :count]


class _FrameEncoder(nn.Module):
    """The visual encoder as a module of its own."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        assert isinstance(network, LrAsd)
        self.network = network

    def forward(self, frames: Tensor) -> Tensor:
        return self.network.encode_frames(frames)


def _distance(landmarks: np.ndarray, one: str, other: str) -> np.ndarray:
    first, second = (landmarks[:, LANDMARKS.index(name)].astype(float) for name in (one, other))
    return np.linalg.norm(first - second, axis=1)
