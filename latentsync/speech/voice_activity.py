"""Finds speech in a recording: a small network tells it from noise and music.

The network is Silero VAD (MIT), whose file comes with the package silero-vad. It is stateful: it
takes windows of 32 ms one after the other, each with the last samples of the window before.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from latentsync.errors import CheckpointError
from latentsync.runtime.openvino import core

PER_SECOND = 100  # speech flags; 10 ms, as mel frames
_RATE = 16000  # Hz
_HOP = _RATE // PER_SECOND

PACKAGE, FILE = "silero_vad", "silero_vad_openvino_16k.onnx"
WINDOW = 512  # samples; 32 ms
_BEFORE = 64  # samples of the window before that the network takes again
_STATE = 2, 1, 128
LEVEL = 2.5
"""log10 of the greatest band energy that a recording is amplified to. The network depends on the
level: speech at -60 dB is missed. From 1.5 to 3 it finds 95 % and more of eight recordings' speech
and none in noise and music; of faint singing over music the more, the louder it is."""

SPEECH_FROM, SPEECH_UNTIL = 0.5, 0.35  # the package's thresholds of the probability
EARLIER = 3  # flags by which speech begins before the network notices it
PAUSE = 20  # flags; a shorter one is part of the speech: the closure of a stop lasts 0.15 s
SHORTEST_SPEECH = 8  # flags; shorter runs are not speech

RISE = 10.0  # dB of the loud parts above the quiet ones, from which levels count at all
BELOW_LOUD = 30.0  # dB below the loud parts; quieter frames are never speech
SHARE = 0.3  # of the way from quiet to loud, in dB, where speech begins
_LEVEL_WINDOW = 5  # flags in the mean of a level


def pauses(speech: np.ndarray, seconds: np.ndarray, shortest: float = 0.3) -> np.ndarray:
    """(N,) bool: whether the speaker pauses for ``shortest`` seconds or more at each instant.

    speech: (T,) bool, PER_SECOND, see find_speech. seconds: (N,) of the recording; before and after
    it there is no speech.
    """
    outside = np.zeros(round(shortest * PER_SECOND) + 1, bool)  # makes a pause at an end long
    flags = np.concatenate([outside, speech, outside])
    long = ~inverted_runs(flags, round(shortest * PER_SECOND), value=False)
    places = np.floor(np.asarray(seconds) * PER_SECOND + 1e-6).astype(np.int64) + len(outside)
    return long[places.clip(0, len(flags) - 1)]


def find_speech(probabilities: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(T,) bool: True in speech, including pauses in it of less than 0.2 s.

    probabilities: of speech_probabilities(). levels: (T,) dB of the same recording, PER_SECOND.
    The network decides what is speech, and the level where it stops: for a quarter of a second of
    reverberation the network says speech.
    """
    flags = _hysteresis(probabilities)
    flags = np.repeat(flags, WINDOW)[_HOP // 2 :: _HOP][: len(levels)]
    flags = np.pad(flags, (0, len(levels) - len(flags)))
    for _ in range(EARLIER):
        flags[:-1] |= flags[1:]
    smooth = _running_mean(levels, _LEVEL_WINDOW)
    if flags.any():
        flags &= smooth > _threshold(smooth, flags)
    inner = inverted_runs(flags, PAUSE, value=False) & _between(flags)
    return inverted_runs(inner, SHORTEST_SPEECH, value=True)


def speech_probabilities(blocks: Iterable[np.ndarray], peak: float) -> np.ndarray:
    """(W,) float32: probability that each window of 512 samples holds speech; the last is padded.

    blocks: consecutive (n,) float32 mono at 16 kHz, [-1, 1]; the result does not depend on their
    lengths. peak: log10 of the greatest band energy, mel.Extent.peak: loudness does not count.
    Any number of threads may call it. Raises CheckpointError: the network is not installed.
    """
    request, gain = _new_request(), np.float32(10 ** ((LEVEL - peak) / 2))
    state, before = np.zeros(_STATE, np.float32), np.zeros(_BEFORE, np.float32)
    found: list[float] = []
    for window in _windows(blocks):
        samples = gain * window
        results = request.infer([np.concatenate([before, samples])[None], state])
        probability, state = (np.array(one) for one in results.to_tuple())
        found.append(float(probability.item()))
        before = samples[-_BEFORE:]
    return np.array(found, np.float32)


def inverted_runs(flags: np.ndarray, shortest: int, *, value: bool) -> np.ndarray:
    """flags: (T,) bool -> the same, runs of ``value`` shorter than ``shortest`` inverted."""
    borders = np.flatnonzero(np.diff(flags)) + 1
    starts, ends = np.r_[0, borders], np.r_[borders, len(flags)]
    out = flags.copy()
    for start, end in zip(starts, ends, strict=True):
        if end > start and flags[start] == value and end - start < shortest:
            out[start:end] = not value
    return out


def model_path() -> Path:
    """The network's file in the installed package, which is not imported.

    Raises CheckpointError: it is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folders = [] if spec is None else spec.submodule_search_locations or []
    files = [Path(folder, "data", FILE) for folder in folders]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        what, remedy = "the network that finds speech is not installed", "pip install silero-vad"
        raise CheckpointError(what, FILE, f"{remedy}==6.2.3 (--no-deps suffices)")
    return found


_TURN = threading.Lock()


def _new_request() -> Any:
    """An openvino.InferRequest of one call's own; the compiled network is shared."""
    with _TURN:
        return _compiled(model_path()).create_infer_request()


@cache
def _compiled(path: Path) -> Any:
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    return core().compile_model(
        core().read_model(path), "CPU", {**settings, "INFERENCE_NUM_THREADS": 1}
    )


def _windows(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """(512,) each; the last is padded with silence."""
    held = np.empty(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        whole = len(held) - len(held) % WINDOW
        yield from held[:whole].reshape(-1, WINDOW)
        held = held[whole:]
    if len(held):
        yield np.pad(held, (0, WINDOW - len(held)))


def _hysteresis(probabilities: np.ndarray) -> np.ndarray:
    """(W,) -> (W,) bool: from SPEECH_FROM on, until it is below SPEECH_UNTIL."""
    clear = (probabilities >= SPEECH_FROM) | (probabilities < SPEECH_UNTIL)
    last = np.maximum.accumulate(np.where(clear, np.arange(len(clear)), -1))
    return (last >= 0) & (probabilities[last] >= SPEECH_FROM)


def _threshold(levels: np.ndarray, speech: np.ndarray) -> float:
    """dB below which there is no speech. Levels and flags: (T,)."""
    quiet = float(np.percentile(levels, 5))
    loud = float(np.percentile(levels[speech], 95))
    if loud < quiet + RISE:
        return -np.inf  # speech throughout, or as loud as the noise: the network alone decides
    return max(loud - BELOW_LOUD, quiet + SHARE * (loud - quiet))


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    padded = np.pad(values.astype(np.float64), window // 2, mode="edge")
    return np.convolve(padded, np.full(window, 1 / window), mode="valid")


def _between(flags: np.ndarray) -> np.ndarray:
    """True from the first to the last flag: short runs at either end are not filled."""
    places = np.flatnonzero(flags)
    out = np.zeros(len(flags), bool)
    if len(places):
        out[places[0] : places[-1] + 1] = True
    return out
