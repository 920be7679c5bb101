"""CodeFormer keeps a code until another one fits clearly better, and forgets in LONGEST frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch

from CodeFormer.restorer import SteadyCodeFormer
from CodeFormer.steadiness import CodeHysteresis
from latentsync.restoration.base import Moment
from latentsync.restoration.temporal import LONGEST
from latentsync.runtime.execution import REFERENCE

PLACES, ENTRIES = 256, 1024


def logits(values: Sequence[tuple[float, float]]) -> torch.Tensor:
    """(F, 256, 1024): in each frame how well the first two entries fit, at every place."""
    made = torch.full((len(values), PLACES, ENTRIES), -9.0)
    made[:, :, :2] = torch.tensor(values)[:, None]
    return made


def noisy(count: int, seed: int = 0) -> torch.Tensor:
    """(F, 256, 1024): still content under noise; many entries nearly tie."""
    generator = torch.Generator().manual_seed(seed)
    still = torch.randn((PLACES, ENTRIES), generator=generator)
    return still + 0.3 * torch.randn((count, PLACES, ENTRIES), generator=generator)


def moments(numbers: Sequence[int]) -> list[Moment]:
    """Of one track without a gap."""
    return [Moment(n, n == numbers[0]) for n in numbers]


def kept(given: torch.Tensor, start: int = 0, margin: float = 1.0, batch: int = 1) -> torch.Tensor:
    codes, at = CodeHysteresis(margin, longest=LONGEST), moments(range(start, start + len(given)))
    parts = zip(given.split(batch), range(0, len(given), batch), strict=True)
    return torch.cat([codes(part, at[i : i + batch]) for part, i in parts])


def flips(codes: torch.Tensor) -> float:
    return float((codes[1:] != codes[:-1]).float().mean())


def undisturbed() -> slice:
    """A place that is not decided afresh in the frames 1 to 4."""
    return slice(0, 1)


def test_a_code_is_kept_until_another_one_wins_by_the_margin() -> None:
    codes = kept(logits([(1, 0), (0, 0.9), (0, 1.1), (0.9, 0)]))
    assert codes[:, undisturbed()].ravel().tolist() == [0, 0, 1, 1]


def test_the_first_frame_and_the_one_after_a_gap_have_the_best_codes() -> None:
    given, codes = noisy(3), CodeHysteresis(9.0, longest=LONGEST)
    at = [Moment(0, True), Moment(1, False), Moment(5, True)]
    chosen = codes(given, at)
    assert torch.equal(chosen[0], given[0].argmax(1))
    assert torch.equal(chosen[2], given[2].argmax(1))
    assert not torch.equal(chosen[1], given[1].argmax(1))


def test_noise_between_codes_that_nearly_tie_no_longer_flips_them() -> None:
    given = noisy(3 * LONGEST)
    assert flips(given.argmax(2)) > 0.3
    assert flips(kept(given)) < 1 / LONGEST


@pytest.mark.parametrize("batch", [2, 5, 24])
def test_batches_change_nothing(batch: int) -> None:
    given = noisy(24)
    assert torch.equal(kept(given, batch=batch), kept(given))


@pytest.mark.parametrize("start", [1, 5, 12, 20])
def test_a_segment_that_begins_early_enough_equals_the_whole(start: int) -> None:
    given = noisy(40)
    begin, ready = start, start + LONGEST - 1
    segment = kept(given[begin:], start=begin)
    assert torch.equal(segment[ready - begin :], kept(given)[ready:])


def test_it_would_not_equal_the_whole_one_frame_earlier() -> None:
    given = noisy(40)
    segments = [kept(given[start:], start=start)[LONGEST - 2] for start in range(1, 20)]
    whole = kept(given)[LONGEST - 1 : LONGEST + 18]
    assert not torch.equal(torch.stack(segments), whole)


def test_each_place_is_decided_afresh_once_in_a_period_and_few_at_a_time() -> None:
    switched = logits([(1, 0)] + [(0, 0.5)] * LONGEST)  # never by the margin
    codes = kept(switched)
    assert (codes[0] == 0).all()
    assert (codes[-1] == 1).all()
    changed = (codes[1:] != codes[:-1]).float().mean(1)
    assert changed.max() < 1.5 / LONGEST


def test_a_frame_that_was_skipped_does_not_prolong_the_memory() -> None:
    switched = logits([(1, 0), (0, 0.5)])
    codes = CodeHysteresis(1.0, longest=LONGEST)
    assert (codes(switched, [Moment(0, True), Moment(LONGEST, False)])[1] == 1).all()


class Network:
    """In place of CodeFormerInParts: the face's number tells which logits it has."""

    def __init__(self, given: torch.Tensor) -> None:
        self.given = given
        self.batches: list[int] = []

    def __call__(
        self, faces: torch.Tensor, choose: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        self.batches.append(len(faces))
        codes = choose(self.given[faces[:, 0, 0, 0].round().long()])
        return (codes.float() / ENTRIES)[:, None, None, :].expand(-1, 3, 1, -1)


def test_the_steady_restorer_hands_every_face_its_own_moment() -> None:
    given = noisy(8)
    network = Network(given)
    restorer = SteadyCodeFormer(network, REFERENCE, CodeHysteresis(1.0, longest=LONGEST))  # type: ignore[arg-type]
    faces = torch.arange(8.0)[:, None, None, None].expand(-1, 3, 1, PLACES)
    at = moments(range(8))
    made = torch.cat([restorer(faces[:3], at[:3]), restorer(faces[3:], at[3:])])
    assert torch.equal((made[:, 0, 0] * ENTRIES).round().long(), kept(given))
    assert network.batches == [1] * 8  # on a CPU
