"""Self is fitted to original mouths, reports its choice, and leaves sharp mouths unchanged."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latentsync.restoration.base import Restorer
from latentsync.restoration.personal import restorer as personal
from latentsync.restoration.personal.degradation import Degradation
from latentsync.restoration.personal.likelihood import LikelyDegradations, likely_degradations
from latentsync.restoration.personal.restorer import (
    NOTHING,
    SELF,
    SIMULATED,
    PersonalizedRestorer,
    load,
)
from latentsync.restoration.personal.training import GAP, split
from latentsync.settings.schema import RestoreConfig
from tests.restoration.test_degradation import through_encoder
from tests.restoration.test_detail import scene

SIZE = (80, 104)
MASK = np.ones(SIZE, np.float32)
SECONDS = np.arange(20) / 4


def mouths(first: int, count: int) -> np.ndarray:
    seeds = range(first, first + count)
    return np.stack([scene(seed)[: SIZE[0], : SIZE[1]] for seed in seeds]).astype(np.float32)


def faces(lumas: np.ndarray) -> torch.Tensor:
    """(N, h, w) code values -> (N, 3, h, w) RGB [-1, 1]."""
    return (torch.from_numpy(lumas) / 127.5 - 1)[:, None].repeat(1, 3, 1, 1)


def after(degrade: Callable[[np.ndarray], np.ndarray], lumas: np.ndarray) -> torch.Tensor:
    return faces(np.stack([degrade(image) for image in lumas]))


def decibels(before: torch.Tensor, now: torch.Tensor, truth: torch.Tensor) -> float:
    errors = [float((x - truth).square().mean()) for x in (before, now)]
    return 10 * float(np.log10(errors[0] / errors[1]))


@pytest.fixture(scope="module")
def originals() -> np.ndarray:
    return mouths(0, 20)


@pytest.fixture(scope="module")
def others() -> np.ndarray:
    """Mouths that are not in the training set."""
    return mouths(50, 6)


@pytest.fixture(scope="module")
def fitted(originals: np.ndarray, others: np.ndarray) -> PersonalizedRestorer:
    generated = after(Degradation(blur=1.6), others)
    return PersonalizedRestorer().fit(faces(originals), generated, seconds=SECONDS, mask=MASK)


@pytest.fixture(scope="module")
def estimates() -> Callable[..., LikelyDegradations]:
    """As likely_degradations, which takes most of a fit; for the same mouths once."""
    known: dict[tuple[bytes, bytes], LikelyDegradations] = {}

    def estimate(originals: np.ndarray, generated: np.ndarray, *more: Any, **options: Any) -> Any:
        key = originals.tobytes(), generated.tobytes()
        if key not in known:
            known[key] = likely_degradations(originals, generated, *more, **options)
        return known[key]

    return estimate


@pytest.fixture(autouse=True)
def estimated_once(
    estimates: Callable[..., LikelyDegradations], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal, "likely_degradations", estimates)


class Idle:
    """A restorer that could be used, and changes nothing."""

    name, size = "Idle", None

    def __call__(self, faces: torch.Tensor) -> torch.Tensor:
        return faces


class Rougher:
    """A restorer that adds a fixed pattern of that amplitude, code values."""

    name, size = "Rougher", None

    def __init__(self, amplitude: float) -> None:
        self._amplitude = amplitude

    def __call__(self, faces: torch.Tensor) -> torch.Tensor:
        columns = torch.arange(faces.shape[-1]) % 2 * 2 - 1.0
        return faces + columns * (self._amplitude / 127.5)


class Perfect:
    """A restorer that knows the truth of all mouths."""

    name, size = "Perfect", None

    def __init__(self, truth: np.ndarray) -> None:
        self._truth = faces(truth)

    def __call__(self, seen: torch.Tensor) -> torch.Tensor:
        distance = (seen[:, None] - self._truth).square().mean((2, 3, 4))
        return self._truth[distance.argmin(1)]


def test_unfitted_it_refuses_to_work() -> None:
    restorer = load(RestoreConfig(), torch.device("cpu"))
    assert isinstance(restorer, Restorer) and restorer.size is None
    with pytest.raises(RuntimeError, match="fit"):
        restorer(torch.zeros(1, 3, *SIZE))


def test_an_unknown_blur_is_inverted_on_other_mouths(
    fitted: PersonalizedRestorer, others: np.ndarray
) -> None:
    generated = after(Degradation(blur=1.6), others)
    assert fitted.fit_result is not None and fitted.fit_result.used == SELF
    assert decibels(generated, fitted(generated), faces(others)) > 1.4


def test_it_is_repeatable_and_survives_pickling(
    originals: np.ndarray, others: np.ndarray, fitted: PersonalizedRestorer
) -> None:
    generated = after(Degradation(blur=1.6), others)
    again = PersonalizedRestorer().fit(faces(originals), generated, seconds=SECONDS, mask=MASK)
    assert again.fit_result == fitted.fit_result
    assert torch.equal(again(generated), fitted(generated))
    assert torch.equal(pickle.loads(pickle.dumps(fitted))(generated), fitted(generated))


def test_only_the_luma_changes(fitted: PersonalizedRestorer, others: np.ndarray) -> None:
    tinted = after(Degradation(blur=1.6), others) * torch.tensor([0.7, 0.6, 0.5])[:, None, None]
    change = fitted(tinted) - tinted
    assert change.abs().max() > 0.02
    assert torch.allclose(change[:, 0], change[:, 2], atol=1e-6)


def test_sharp_mouths_are_left_bit_for_bit(originals: np.ndarray, others: np.ndarray) -> None:
    generated = faces(np.rint(others))
    restorer = PersonalizedRestorer().fit(faces(originals), generated, seconds=SECONDS, mask=MASK)
    assert restorer.fit_result is not None and restorer.fit_result.used == NOTHING
    assert torch.equal(restorer(generated), generated)


def test_noise_on_sharp_mouths_is_not_raised(originals: np.ndarray, others: np.ndarray) -> None:
    random = np.random.default_rng(0)
    noisy = faces(others + random.normal(0, 2, others.shape).astype(np.float32))
    restorer = PersonalizedRestorer().fit(faces(originals), noisy, seconds=SECONDS, mask=MASK)
    assert decibels(noisy, restorer(noisy), faces(others)) > -0.2


def test_an_encoder_after_the_degradation_is_part_of_the_simulation(
    originals: np.ndarray, others: np.ndarray, tmp_path: Path
) -> None:
    def encoded(lumas: np.ndarray) -> torch.Tensor:
        blurry = [Degradation(shrink=2.5)(image) for image in lumas]
        return faces(through_encoder(blurry, tmp_path / "video.mp4", crf=20))

    restorer = PersonalizedRestorer().fit(
        faces(originals), encoded(originals[1::3]), seconds=SECONDS, mask=MASK
    )
    result = restorer.fit_result
    assert result is not None and result.used == SELF and result.strength <= 1
    assert result.degradation is not None and result.degradation.coding > 0
    generated = encoded(others)
    assert decibels(generated, restorer(generated), faces(others)) > 0.4


def test_the_gain_says_what_it_was_measured_on(fitted: PersonalizedRestorer) -> None:
    assert fitted.fit_result is not None and fitted.fit_result.measured_on == SIMULATED
    assert SIMULATED in fitted.fit_result.reason


@pytest.mark.parametrize(("harm", "used"), [(0.0, "Rougher"), (8.0, NOTHING)])
def test_a_poor_fit_falls_back_and_says_so(
    originals: np.ndarray, others: np.ndarray, harm: float, used: str
) -> None:
    random = np.random.default_rng(0)
    ruined = faces(others + random.normal(0, 25, others.shape).astype(np.float32))
    restorer = PersonalizedRestorer().fit(
        faces(originals), ruined, seconds=SECONDS, mask=MASK, fallback=Rougher(harm)
    )
    result = restorer.fit_result
    assert result is not None and result.poor_fit and result.used == used
    assert "no simulated degradation explains" in result.reason and used in result.reason
    assert torch.equal(restorer(ruined), Rougher(harm)(ruined) if used != NOTHING else ruined)


def test_originals_of_less_contrast_do_not_limit_the_strength(
    originals: np.ndarray, others: np.ndarray
) -> None:
    """A shut mouth has less energy in all bands, and says nothing about how sharp teeth are."""
    faint = originals.mean() + 0.8 * (originals - originals.mean())
    generated = after(Degradation(blur=1.6), others)
    restorer = PersonalizedRestorer().fit(faces(faint), generated, seconds=SECONDS, mask=MASK)
    assert restorer.fit_result is not None and restorer.fit_result.strength > 0.4


def test_pairs_need_no_estimated_degradation(originals: np.ndarray, others: np.ndarray) -> None:
    def wavy(image: np.ndarray) -> np.ndarray:
        kept = np.fft.rfft2(image)
        rows, columns = np.fft.fftfreq(SIZE[0])[:, None], np.fft.rfftfreq(SIZE[1])
        kept *= 1 / (1 + (np.hypot(rows, columns) / 0.12) ** 2)
        return np.rint(np.fft.irfft2(kept, s=SIZE)).astype(np.float32)

    restorer = PersonalizedRestorer().fit_pairs(
        after(wavy, originals), faces(originals), seconds=SECONDS, mask=MASK
    )
    assert restorer.fit_result is not None and restorer.fit_result.degradation is None
    assert decibels(after(wavy, others), restorer(after(wavy, others)), faces(others)) > 2


def test_the_better_one_on_held_out_mouths_is_used(
    originals: np.ndarray, others: np.ndarray
) -> None:
    generated = after(Degradation(blur=1.6), others)
    options = {"seconds": SECONDS, "mask": MASK}
    behind = PersonalizedRestorer().fit(faces(originals), generated, **options, fallback=Idle())
    assert behind.fit_result is not None and behind.fit_result.used == SELF
    assert behind.fit_result.gains["Idle"] == 0 < behind.fit_result.gains[SELF]
    ahead = PersonalizedRestorer().fit(
        faces(originals), generated, **options, fallback=Perfect(originals)
    )
    assert ahead.fit_result is not None and ahead.fit_result.used == "Perfect"
    assert "Perfect" in ahead.fit_result.reason
    assert torch.equal(ahead(generated), Perfect(originals)(generated))


@pytest.mark.parametrize(("fallback", "used"), [(None, NOTHING), (Idle(), "Idle")])
def test_a_second_of_video_is_too_little_to_fit_to(
    originals: np.ndarray, others: np.ndarray, fallback: Restorer | None, used: str
) -> None:
    generated = after(Degradation(blur=1.6), others)
    restorer = PersonalizedRestorer().fit(
        faces(originals), generated, seconds=SECONDS / 6, mask=MASK, fallback=fallback
    )
    assert restorer.fit_result is not None and restorer.fit_result.used == used
    assert "too few" in restorer.fit_result.reason
    assert torch.equal(restorer(generated), generated)


def test_mouths_without_their_times_are_refused(originals: np.ndarray) -> None:
    with pytest.raises(ValueError, match="times"):
        PersonalizedRestorer().fit(
            faces(originals), faces(originals), seconds=SECONDS[:3], mask=MASK
        )


@pytest.mark.parametrize("length", [3.0, 9.0, 20.0, 200.0])
def test_held_out_mouths_lie_a_second_from_all_training_mouths(length: float) -> None:
    seconds = np.linspace(0, length, 40)
    parts = split(seconds)
    assert parts is not None
    gaps = np.abs(seconds[parts.train][:, None] - seconds[parts.held_out])
    assert gaps.min() >= GAP
    assert set(parts.train) | set(parts.rest) == set(range(40))
    assert not set(parts.train) & set(parts.rest)
