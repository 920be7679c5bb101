"""What is said of data and settings that keep SyncNet from learning."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from latentsync.training.data.clip import ClipFacts
from latentsync.training.data.listing import Clip
from latentsync.training.data.shards import Member
from latentsync.training.data.survey import Survey, Usable
from latentsync.training.diagnosis import (
    GUESSING,
    DataFacts,
    StuckWatch,
    diagnose,
    facts_of,
    is_stuck,
    said_before,
)
from latentsync.training.offsets import ClipOffset, Offsets
from latentsync.training.settings.schema import SyncNetTraining

GOOD = DataFacts(clips=20_000, hours=40.0, longest=10.0, speakers=300, pairs=256)
SETTINGS = SyncNetTraining()


def offsets(*frames: float, confidence: float = 6.0, lag: float = math.nan) -> Offsets:
    found = tuple(ClipOffset(f"c{n}", one, confidence) for n, one in enumerate(frames))
    return Offsets(found, lag, {})


def test_nothing_is_said_of_good_data() -> None:
    measured = offsets(0, 1, -1, 0, 0, 1, 0, 0, 0, 9)
    assert said_before(GOOD, SETTINGS, measured) == []
    assert said_before(GOOD, SETTINGS, offsets(lag=60.0)) == []
    assert said_before(GOOD, SETTINGS) == []


@pytest.mark.parametrize(
    ("facts", "measured", "said"),
    [
        (GOOD, offsets(3, 3, 4, 0), "3 frames ahead of the lips"),
        (GOOD, offsets(-5, -5, 0), "5 frames behind the lips"),
        (GOOD, offsets(0, 0, confidence=1.0), "hardly agree"),
        (GOOD, offsets(lag=-320.0), "8 frames behind the lips, by landmarks"),
        (replace(GOOD, clips=9, hours=0.1), None, "9 clips, 0.1 hours, are few"),
        (replace(GOOD, speakers=2), None, "2 speakers are few"),
        (replace(GOOD, longest=600.0), None, "samples_per_clip"),
        (replace(GOOD, pairs=4), None, "gradient_accumulation_steps"),
    ],
)
def test_each_cause_is_named_with_its_number_and_a_cure(
    facts: DataFacts, measured: Offsets | None, said: str
) -> None:
    found = said_before(facts, SETTINGS, measured)
    assert len(found) == 1 and said in found[0]
    assert "nan" not in found[0]


def test_a_learning_rate_that_is_too_high_is_named() -> None:
    fast = replace(SETTINGS, optimizer=replace(SETTINGS.optimizer, lr=1e-3))
    (said,) = said_before(GOOD, fast)
    assert "optimizer.lr 0.001" in said


def usable(path: Path, frames: int = 250, member: str | None = None) -> Usable:
    inside = None if member is None else Member(member, 512, 9)
    return Usable(Clip(str(path), path, inside), ClipFacts(frames, 256, frames / 25))


def test_speakers_are_counted_where_they_are_known(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    samples = {"a0": {"speaker": "s1"}, "a1": {"speaker": "s2"}, "b0": {"speaker": "s1"}}
    (tmp_path / "shards" / "index.json").write_text(json.dumps({"samples": samples}))
    clips = [usable(tmp_path / "clips" / name[0] / f"{name}.mp4") for name in samples]
    shard = [usable(tmp_path / "shards" / "0.tar", member=f"{name}.mp4") for name in samples]
    for found in (clips, shard):
        facts = facts_of(Survey(tuple(found), {}, ()), SETTINGS, processes=2)
        assert facts.speakers == 2 and facts.clips == 3
        assert facts.longest == 10.0 and facts.pairs == 512
    unknown = Survey((*clips, usable(tmp_path / "elsewhere" / "x.mp4")), {}, ())
    assert facts_of(unknown, SETTINGS).speakers == 0


def test_a_diagnosis_without_measuring_looks_at_the_clips_alone(tmp_path: Path) -> None:
    found = Survey((usable(tmp_path / "a.mp4"),), {}, ())
    (said,) = diagnose(found, SETTINGS, looked_at=0)
    assert said.startswith("1 clips")


def test_a_loss_that_stays_where_guessing_is_is_said_once() -> None:
    watch = StuckWatch(patience=1000, window=10)
    said = [watch(step, GUESSING + 0.004 * (-1) ** step) for step in range(0, 3000, 10)]
    assert [step for step, one in enumerate(said) if one] == [100]
    assert "after 1000 steps" in str(said[100])


def test_a_loss_that_moves_is_not_stuck() -> None:
    watch = StuckWatch(patience=1000, window=10)
    assert not any(watch(step, max(0.3, 0.69 - step / 10_000)) for step in range(0, 3000, 10))
    resumed = StuckWatch(patience=1000)
    assert resumed(500_000, GUESSING) is None  # steps are counted from where it began to look


def test_losses_that_are_not_finite_are_not_called_guessing() -> None:
    assert is_stuck([0.69, 0.70, 0.71])
    assert not is_stuck([0.6, 0.69]) and not is_stuck([]) and not is_stuck([math.nan, 0.69])
