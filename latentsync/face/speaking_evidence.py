"""Evidence that a face speaks, for every instant: motion of the mouth, LR-ASD, correlation.

All evidence is in logits: the logarithm of how much more probable an instant becomes if this face
is the one that speaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FRAME_RATE = 25
"""Instants a second at which everything is decided, from the video's zero."""
AUDIO_RATE = 100

WINDOW = 125  # instants; 5 s to which mouth and audio are normalised, and at which a lag is chosen
SMOOTH = 17  # instants over which their product is averaged
LAGS = 3  # instants by which audio and video may be apart
EXTREME = 3.0  # products beyond it are outliers
MOTION_WINDOW = 17  # instants over which an aperture's spread is measured
SCORE_WINDOW = 5  # instants over which LR-ASD's scores are averaged
GAP = 0.2  # seconds over which a face's signals are interpolated

PAIRS = ((0, 0), (0, 1), (1, 2), (2, 3))
"""(signal of the mouth, signal of the audio) that are correlated; see _mouth and Speech."""
PAIR_STRENGTHS = (0.4, 1.2, 0.6, 0.7)
FITTED_STRENGTH = 2.0
"""Of the correlation with what a regression of the face's own predicts, at reliability 1."""
SYNC_LOGIT = 2.0
"""Logit of a second in which one face's correlations sum to 1 more than another's."""
TALK_MARGIN = 1.5
"""LR-ASD scores lower than the best face's by less do not count."""
TALK_LOGIT = 1.2
"""Logit of a second of a score that is lower by 1 beyond the margin."""
TALK_DEFICIT = 2.0
"""Greatest difference beyond the margin that counts."""
MOTION_MARGIN = 0.6
"""The three for the logarithm of the aperture's spread: a factor of 1.8, and 6 in all."""
MOTION_LOGIT = 1.2
MOTION_DEFICIT = 1.2

NOBODY_SCORE = 1.5
"""LR-ASD's score that stands for a speaker who is not in the frame."""
NOBODY_SPREAD = 0.006
"""The same for the aperture's spread [face widths]."""
NOBODY_SYNC = 0.4
"""The same for the sum of correlations."""
NOBODY_PRIOR = -2.0  # logit, at every change of speakers


@dataclass(frozen=True, slots=True, eq=False)
class TalkingFace:
    """One face along the video: a track, or all tracks of one identity.

    seconds: (F,) rising. aperture, width: (F,) of the lips, in widths of the face; NaN: unknown.
    score_seconds: (S,), scores: (S,), activity: (S,): LR-ASD's scores and those of its visual head,
    S may be 0; None: not computed. predicted: (F, 2) aperture and width by a regression from the
    audio that was fitted to this face, out of fold; reliability: (2,) 0 to 1, its r; None: not
    fitted.
    """

    seconds: np.ndarray
    aperture: np.ndarray
    width: np.ndarray
    score_seconds: np.ndarray | None = None
    scores: np.ndarray | None = None
    activity: np.ndarray | None = None
    predicted: np.ndarray | None = None
    reliability: np.ndarray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """The audio from the video's zero, 100 instants a second.

    speech: (T,) bool. signals: (T, 4) level of 300 to 3000 Hz, and the aperture, width and activity
    that the audio predicts for a mouth; their scales do not matter.
    """

    speech: np.ndarray
    signals: np.ndarray


def evidence_used(faces: Sequence[TalkingFace]) -> tuple[str, ...]:
    used = ["motion", "correlation"]
    if any(face.predicted is not None for face in faces):
        used.append("regression")
    if _all_scored(faces):
        used.append("LR-ASD")
    return tuple(used)


def _all_scored(faces: Sequence[TalkingFace]) -> bool:
    return len(faces) > 0 and all(face.scores is not None for face in faces)


def logits_of(faces: Sequence[TalkingFace], speech: Speech, count: int) -> np.ndarray:
    """(T + 1, N) logit of each instant for each face, and for nobody; -inf: not in the frame."""
    scored = _all_scored(faces)
    grid = np.arange(count) / FRAME_RATE
    mouths = np.empty((len(faces), count, 3))
    for place, face in enumerate(faces):
        mouths[place] = _mouth(face, grid)
    if not scored:  # a sum of more correlations would be larger
        mouths[..., 2] = np.nan
    present = np.isfinite(mouths[..., 0])
    audio = _on_grid(speech.signals, count)
    sync = [
        _sync(mouth, audio, _fitted(face, grid)) for mouth, face in zip(mouths, faces, strict=True)
    ]
    logits = SYNC_LOGIT * _with_nobody(sync, NOBODY_SYNC, count)
    spread = _with_nobody(
        [_log_spread(mouth[:, 0]) for mouth in mouths], np.log(NOBODY_SPREAD), count
    )
    logits -= MOTION_LOGIT * _deficit(spread, MOTION_MARGIN, MOTION_DEFICIT)
    if scored:
        means = [_running_mean(_scores(face, grid), SCORE_WINDOW) for face in faces]
        scores = _with_nobody(means, NOBODY_SCORE, count)
        logits -= TALK_LOGIT * _deficit(scores, TALK_MARGIN, TALK_DEFICIT)
    logits /= FRAME_RATE
    logits[:-1][~present] = -np.inf
    return logits


def _with_nobody(rows: Sequence[np.ndarray], nobody: float, count: int) -> np.ndarray:
    """T times (N,) -> (T + 1, N); unknown values are nobody's."""
    stacked = np.stack([*rows, np.full(count, nobody)])
    return np.where(np.isfinite(stacked), stacked, nobody)


def _deficit(values: np.ndarray, margin: float, most: float) -> np.ndarray:
    """(T + 1, N) -> the same, 0 to most: how much lower than the best, less margin."""
    return (values.max(axis=0) - values - margin).clip(0, most)


def _mouth(face: TalkingFace, grid: np.ndarray) -> np.ndarray:
    """(N, 3) aperture, width and LR-ASD's visual activity at the instants; NaN: unknown."""
    activity = np.full(len(grid), np.nan)
    if face.activity is not None and face.score_seconds is not None:
        activity = _interpolated(face.score_seconds, face.activity, grid)
    lips = (_interpolated(face.seconds, values, grid) for values in (face.aperture, face.width))
    return np.column_stack([*lips, activity])


def _scores(face: TalkingFace, grid: np.ndarray) -> np.ndarray:
    assert face.scores is not None and face.score_seconds is not None
    return _interpolated(face.score_seconds, face.scores, grid)


def _interpolated(seconds: np.ndarray, values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Values at the instants of the grid; NaN further than GAP from a known one."""
    known = np.isfinite(values)
    at, values = seconds[known], values[known]
    if not len(at):
        return np.full(len(grid), np.nan)
    after = np.searchsorted(at, grid).clip(0, len(at) - 1)
    before = (after - 1).clip(0)
    nearest = np.minimum(np.abs(at[after] - grid), np.abs(grid - at[before]))
    return np.where(nearest <= GAP, np.interp(grid, at, values), np.nan)


def _on_grid(signals: np.ndarray, count: int) -> np.ndarray:
    """(T, K) 100 a second -> (N, K) 25 a second: means of four; NaN after the audio's end."""
    step = AUDIO_RATE // FRAME_RATE
    smooth = np.stack([_running_mean(column, step + 1) for column in signals.T], axis=1)
    places = np.arange(count) * step
    return np.where(
        (places < len(signals))[:, None], smooth[places.clip(0, len(signals) - 1)], np.nan
    )


def spoken_instants(speech: np.ndarray, count: int) -> np.ndarray:
    places = np.arange(count) * (AUDIO_RATE // FRAME_RATE)
    return (places < len(speech)) & speech[places.clip(0, max(len(speech) - 1, 0))]


_Pairs = list[tuple[float, np.ndarray, np.ndarray]]
"""Strength, signal of a mouth (N,) and of the audio (N,)."""


def _fitted(face: TalkingFace, grid: np.ndarray) -> _Pairs:
    """What the regression that was fitted to the face predicts, beside the lips."""
    if face.predicted is None or face.reliability is None:
        return []
    return [
        (
            FITTED_STRENGTH * float(reliability),
            _interpolated(face.seconds, lips, grid),
            _interpolated(face.seconds, predicted, grid),
        )
        for reliability, lips, predicted in zip(
            face.reliability, (face.aperture, face.width), face.predicted.T, strict=True
        )
    ]


def _sync(mouth: np.ndarray, audio: np.ndarray, fitted: _Pairs) -> np.ndarray:
    """(N, 3), (N, 4) -> (N,): how well the mouth follows the audio around each instant.

    The sum over pairs of the product of both signals, each normalised over WINDOW: its mean over
    WINDOW is their correlation, by which the lag is chosen; its mean over SMOOTH is returned, since
    speakers change within a window. Unknown pairs count 0.
    """
    pairs = [
        (strength, mouth[:, one], audio[:, other])
        for (one, other), strength in zip(PAIRS, PAIR_STRENGTHS, strict=True)
    ]
    best, local = np.full(len(mouth), -np.inf), np.zeros(len(mouth))
    for lag in range(-LAGS, LAGS + 1):
        product = np.zeros(len(mouth))
        for strength, lips, expected in (*pairs, *fitted):
            product += strength * _product(lips, _shifted(expected, lag))
        whole = _running_sum(product, WINDOW) / WINDOW
        local = np.where(whole > best, _running_sum(product, SMOOTH) / SMOOTH, local)
        best = np.maximum(whole, best)
    return local


def _product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N,) twice -> (N,): of both, normalised where both are known; elsewhere 0."""
    known = np.isfinite(one) & np.isfinite(other)
    first, second = (_normalised(np.where(known, values, np.nan)) for values in (one, other))
    return np.where(known, first * second, 0.0).clip(-EXTREME, EXTREME)


def _normalised(values: np.ndarray) -> np.ndarray:
    """(N,) -> (N,): less the mean of WINDOW around each, in standard deviations."""
    mean = _running_mean(values, WINDOW)
    spread = _running_mean(values * values, WINDOW) - mean * mean
    normalised: np.ndarray = (values - mean) / np.sqrt(np.maximum(spread, 1e-10))
    return normalised


def _shifted(values: np.ndarray, lag: int) -> np.ndarray:
    """values[i + lag] at i; NaN beyond the ends."""
    out = np.full(len(values), np.nan)
    stop = len(values) - abs(lag)
    if stop > 0:
        start = max(-lag, 0)
        out[start : start + stop] = values[max(lag, 0) : max(lag, 0) + stop]
    return out


def _log_spread(aperture: np.ndarray) -> np.ndarray:
    """(N,) -> (N,): logarithm of its standard deviation around each instant."""
    known = np.isfinite(aperture)
    x = np.where(known, aperture - np.nanmean(aperture) if known.any() else 0.0, 0.0)
    n, s, ss = (_running_sum(v, MOTION_WINDOW) for v in (known.astype(float), x, x * x))
    variance = ss / np.maximum(n, 1) - (s / np.maximum(n, 1)) ** 2
    return np.where(known, np.log(np.sqrt(np.maximum(variance, 0)) + 1e-4), np.nan)


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """(N,) -> (N,): the mean of what is known around each; NaN where nothing is."""
    known = np.isfinite(values)
    n = _running_sum(known.astype(float), window)
    total = _running_sum(np.where(known, values, 0.0), window)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _running_sum(values: np.ndarray, window: int) -> np.ndarray:
    """(N,) -> (N,): over the window centred on each, cut off at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    start = (places - window // 2).clip(0)
    stop = (places + window - window // 2).clip(None, len(values))
    summed: np.ndarray = total[stop] - total[start]
    return summed
