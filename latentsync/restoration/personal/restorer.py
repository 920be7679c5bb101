"""Self: a restorer fitted to original mouths of the same speaker, in seconds, without weights.

Original mouths are degraded like the generated ones (see degradation), and a filter bank is fitted
to invert that (see filterbank). The added detail is bounded by what the pairs had lost, and by the
sharpness of the original mouths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch

from latentsync.restoration.base import Restorer
from latentsync.restoration.personal.degradation import Degradation
from latentsync.restoration.personal.filterbank import FilterBank
from latentsync.restoration.personal.likelihood import (
    LikelyDegradations,
    counterparts,
    likely_degradations,
)
from latentsync.restoration.personal.training import (
    Training,
    TrainingResult,
    by_likelihood,
    split,
    spread,
)
from latentsync.restoration.sharpness import LUMA

if TYPE_CHECKING:
    from latentsync.runtime.execution import Execution
    from latentsync.settings.schema import RestoreConfig

Faces: TypeAlias = Sequence[torch.Tensor] | torch.Tensor
Seconds: TypeAlias = Sequence[float] | np.ndarray

SELF, NOTHING = "Self", "nothing"
TRAINING_FRAMES = 36
"""Training mouths at most, spread over the video: more do not improve the result."""

_GENERATED_FRAMES = 12
_MOST_DEGRADATIONS = 10
_LEAST_GAIN = 0.2  # dB of PSNR on held-out mouths below which nothing is restored
# Error of the degradation above which Self is not used: the filters would undo what did not happen.
# The first where the edges say that the mouth is blurred, by _BLURRED [sigma, pixels] or more; the
# second where they do not. On real clips of several people the edges of sharp mouths are blurred by
# 0 to 0.47, of degraded ones by 0.53 and more; Self loses on sharp ones, of error 1.5 and more.
_MOST_ERROR, _MOST_ERROR_SHARP = 3.0, 1.3
_BLURRED = 0.5
SIMULATED, GENERATED = "simulated degradation", "the generator's VAE"


@dataclass(frozen=True, slots=True)
class FitResult:
    """The chosen restorer, and why.

    used: "Self", the name of the fallback, or "nothing". gains: PSNR gain in dB on held-out mouths,
    by restorer. measured_on: what those had lost: SIMULATED or GENERATED; on the generated mouths
    themselves the gain is lower where the simulation is off. strength: factor of the fitted
    residual. degradation: the likeliest; None where pairs were given. degradation_error: how badly
    it explains the generated mouths; up to 1: it does. poor_fit: it does not, so Self is not used.
    lost: sigma, pixels, of the blur between original and generated mouths; None: not measured.
    training_mouths, held_out: numbers of mouths.
    """

    used: str
    reason: str
    gains: dict[str, float] = field(default_factory=dict)
    measured_on: str | None = None
    strength: float = 0.0
    degradation: Degradation | None = None
    degradation_error: float = 0.0
    poor_fit: bool = False
    lost: float | None = None
    training_mouths: int = 0
    held_out: int = 0


class PersonalizedRestorer:
    """Adds lost detail to the luma with a fitted filter bank; colour is unchanged. Deterministic.

    Calling it before fit() raises RuntimeError. A fitted one can be pickled and used from any
    number of threads. It runs many short operations, which gain nothing by PyTorch's threads: with
    more of them than free cores, it takes twice as long as with one.
    """

    name = SELF
    network = False
    size: int | None = None

    def __init__(
        self,
        fit_result: FitResult | None = None,
        bank: FilterBank | None = None,
        fallback: Restorer | None = None,
    ) -> None:
        self.fit_result, self._bank, self._fallback = fit_result, bank, fallback

    def fit(
        self,
        originals: Faces,
        generated: Faces,
        *,
        seconds: Seconds,
        mask: np.ndarray,
        fallback: Restorer | None = None,
    ) -> PersonalizedRestorer:
        """Returns a restorer for the generated mouths, fitted to original mouths.

        originals: F x (3, h, w) float RGB [-1, 1], original mouths at the frame's own scale;
        seconds: F, their times. generated: G x (3, h, w), the mouths to restore, or some of them,
        in the same box. mask: (h, w) in [0, 1], the region that counts. fallback: tuned restorer,
        used where it has the higher PSNR on held-out mouths, or fitting is impossible.
        """
        mouths, times = _sample(originals, seconds)
        lumas = _lumas([generated[i] for i in spread(len(generated), _GENERATED_FRAMES)])
        parts = split(times)
        if parts is None or not len(lumas):
            return _unfitted(fallback, len(mouths), len(lumas))
        similar = mouths[counterparts(mouths, lumas, mask)]
        found = likely_degradations(similar, lumas, mask, most=_MOST_DEGRADATIONS)
        training = Training(mouths, by_likelihood(mouths, found), parts, mask)
        likeliest = found.degradations[0]
        coded = likeliest.noise > 0 and likeliest.quality > 0
        result = training.run(
            lumas,
            similar,
            degradation_error=found.error,
            coded=coded,
            encoded=likeliest.coding > 0,
        )
        return _decided(training, result, fallback, found)

    def fit_pairs(
        self,
        degraded: Faces,
        originals: Faces,
        *,
        seconds: Seconds,
        mask: np.ndarray,
        fallback: Restorer | None = None,
    ) -> PersonalizedRestorer:
        """The same from pairs: original mouths and the generator's version of each.

        degraded: F x (3, h, w) float RGB [-1, 1], one for each original; the rest as in fit.
        """
        mouths, times = _sample(originals, seconds)
        pairs, _ = _sample(degraded, seconds)
        parts = split(times)
        if parts is None:
            return _unfitted(fallback, len(mouths), len(pairs))
        training = Training(mouths, lambda i: pairs[i : i + 1], parts, mask)
        return _decided(training, training.run(pairs, mouths), fallback, None)

    @torch.no_grad()
    def __call__(self, faces: torch.Tensor) -> torch.Tensor:
        """faces: (N, 3, h, w) float RGB [-1, 1], mouths at the frame's own scale -> the same."""
        if self.fit_result is None:
            raise RuntimeError("Self is not fitted; call fit(...) first")
        if self.fit_result.used == NOTHING:
            return faces.clone()
        if self._bank is None:
            if self._fallback is None:
                raise RuntimeError(f"the fallback {self.fit_result.used} was not given")
            return self._fallback(faces)
        added = self._bank.residual(luma(faces)) * (self.fit_result.strength / 127.5)
        return (faces + added[:, None]).clamp(-1, 1)


def load(_config: RestoreConfig, _execution: Execution) -> PersonalizedRestorer:
    """The loader in the table RESTORERS. There are no weights; it is fitted for each track."""
    return PersonalizedRestorer()


def luma(faces: torch.Tensor) -> torch.Tensor:
    """(N, 3, h, w) float RGB [-1, 1] -> (N, h, w) code values 0..255."""
    return (torch.einsum("nchw,c->nhw", faces, faces.new_tensor(LUMA)) + 1) * 127.5


def _lumas(faces: Sequence[torch.Tensor]) -> np.ndarray:
    """F x (3, h, w) float RGB [-1, 1] -> (F, h, w) float32 code values."""
    if not len(faces):
        return np.empty((0, 0, 0), np.float32)
    return np.concatenate([luma(face[None].float().cpu()).numpy() for face in faces])


def _sample(faces: Faces, seconds: Seconds) -> tuple[np.ndarray, np.ndarray]:
    """Lumas and seconds of at most TRAINING_FRAMES of the faces."""
    if len(faces) != len(seconds):
        raise ValueError(f"{len(faces)} mouths, but {len(seconds)} times")
    chosen = spread(len(faces), TRAINING_FRAMES)
    return _lumas([faces[i] for i in chosen]), np.asarray(seconds, np.float64)[chosen]


def _unfitted(fallback: Restorer | None, training: int, generated: int) -> PersonalizedRestorer:
    used = NOTHING if fallback is None else fallback.name
    reason = (
        f"{training} training and {generated} generated mouths are too few, or too close in time"
    )
    return PersonalizedRestorer(FitResult(used, reason, training_mouths=training), None, fallback)


def _decided(
    training: Training,
    result: TrainingResult,
    fallback: Restorer | None,
    found: LikelyDegradations | None,
) -> PersonalizedRestorer:
    """Chooses by PSNR gain on held-out mouths: Self, the fallback, or nothing."""
    missing = result.truth - result.degraded
    gains = {SELF: training.gain(missing, result.added)}
    if fallback is not None:
        gains[fallback.name] = training.gain(
            missing, _through(fallback, result.degraded) - result.degraded
        )
    used = _best(gains, found)
    fit_result = FitResult(
        used,
        _reason(used, gains, result.strength, found),
        gains={name: round(figure, 2) for name, figure in gains.items()},
        measured_on=SIMULATED if found else GENERATED,
        strength=round(result.strength, 3),
        degradation=found.degradations[0] if found else None,
        degradation_error=round(found.error, 2) if found else 0.0,
        poor_fit=_is_poor(found),
        lost=None if found is None or np.isnan(found.lost) else round(found.lost, 2),
        training_mouths=len(training.originals),
        held_out=len(training.parts.held_out),
    )
    return PersonalizedRestorer(fit_result, result.complete() if used == SELF else None, fallback)


def _is_poor(found: LikelyDegradations | None) -> bool:
    return found is not None and found.error > _limit(found)


def _limit(found: LikelyDegradations) -> float:
    return _MOST_ERROR if found.lost >= _BLURRED else _MOST_ERROR_SHARP


def _best(gains: dict[str, float], found: LikelyDegradations | None) -> str:
    """The name of the restorer to use, or NOTHING."""
    if _is_poor(found):
        # The simulation shows little, but where the fallback does harm even there, it is not safe.
        others = [name for name, gain in gains.items() if name != SELF and gain > -_LEAST_GAIN]
        return others[0] if others else NOTHING
    if found is not None and not found.degradations[0].parts:
        return NOTHING
    best = max(gains, key=lambda name: gains[name])
    return best if gains[best] >= _LEAST_GAIN else NOTHING


def _through(restorer: Restorer, lumas: np.ndarray) -> np.ndarray:
    """(N, h, w) code values -> the restorer's result on them as grey images."""
    grey = torch.from_numpy(lumas / np.float32(127.5) - 1)[:, None].expand(-1, 3, -1, -1)
    return luma(restorer(grey)).numpy()


def _reason(
    used: str, gains: dict[str, float], strength: float, found: LikelyDegradations | None
) -> str:
    each = ", ".join(f"{name} {figure:+.2f} dB" for name, figure in gains.items())
    on = SIMULATED if found else GENERATED
    tried = f"gain of held-out PSNR on {on}: {each}"
    if found is not None and _is_poor(found):
        return (
            f"no simulated degradation explains these mouths (error {found.error:.1f}, limit "
            f"{_limit(found)}): chose {used} in place of {SELF} ({tried})"
        )
    if used != NOTHING:
        return f"chose {used} ({tried})"
    if strength == 0 or (found is not None and not found.degradations[0].parts):
        return f"the mouths are as sharp as the original ones ({tried})"
    return f"no restorer gains {_LEAST_GAIN} dB ({tried})"
