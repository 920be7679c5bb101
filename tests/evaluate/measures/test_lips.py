"""Lips against speech: whether they follow it, how late they are, and what they do in pauses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from latentsync.evaluate.measures.lips import FIGURES, Lips
from latentsync.evaluate.pair import SeenFace
from latentsync.face.speaking_evidence import Speech
from latentsync.speech.acoustic import CEPSTRA, Acoustics
from tests.support.seen_faces import by_name, pairs, seen_face

FRAMES = 500
STATISTICS = {one.name: one.statistic for one in FIGURES}


def slow(seed: int, count: int = 4 * FRAMES) -> np.ndarray:
    """100 a second, around 0, as quick as syllables."""
    noise = np.random.default_rng(seed).standard_normal(count + 15)
    smooth = np.convolve(noise, np.hanning(16), mode="valid")
    return smooth / smooth.std()


def speech(seed: int = 0, spoken: np.ndarray | None = None) -> Speech:
    signals = np.stack([slow(10 * seed + column) for column in range(4)], axis=1)
    flags = np.ones(len(signals), bool) if spoken is None else spoken
    return Speech(flags, np.where(flags[:, None], signals, signals.min(axis=0)))


def faces(
    said: Speech, *, late: int = 0, motion: float = 0.03, noise: float = 0.3
) -> list[SeenFace]:
    """Mouths that do what the speech predicts, so many frames late; not exactly."""
    shown = np.roll(said.signals[::4], late, axis=0)
    rough = np.random.default_rng(99).standard_normal(shown.shape) * noise
    return [
        seen_face(0.15 + motion * (a + r), 0.5 + motion * (w + s))
        for (_, a, w, _), (_, r, s, _) in zip(shown, rough, strict=True)
    ]


def figures(
    lips: Lips,
    shown: Sequence[SeenFace | None],
    sources: Sequence[SeenFace | None] | None = None,
    *,
    seen: Sequence[bool] | None = None,
) -> dict[str, float]:
    for pair in pairs(shown, sources, seen=seen):
        lips.add(pair)
    found = by_name(lips.results())
    return {name: STATISTICS[name](one.known().rows) for name, one in found.items()}


def test_lips_that_do_what_the_speech_predicts_follow_it_and_others_do_not() -> None:
    said = speech()
    own, other = figures(Lips(said), faces(said)), figures(Lips(said), faces(speech(1)))
    assert own["lips_follow_prediction"] > 0.8
    assert abs(other["lips_follow_prediction"]) < 0.2


def test_lips_that_open_with_the_loudness_follow_it() -> None:
    said = speech()
    loud = [seen_face(0.15 + 0.03 * level) for level in said.signals[::4, 0]]
    assert figures(Lips(said), loud)["lips_follow_speech"] > 0.8
    assert abs(figures(Lips(said), faces(said))["lips_follow_speech"]) < 0.2


@pytest.mark.parametrize("late", [-8, -3, 0, 1, 3, 8])
def test_the_delay_is_that_of_the_lips(late: int) -> None:
    said = speech()
    assert figures(Lips(said), faces(said, late=late))["lip_delay"] == pytest.approx(
        40 * late, abs=5
    )


def test_no_delay_is_made_up_for_the_speech_of_somebody_else() -> None:
    shown = faces(speech(0))[:150]  # a short video, whose curves are rough
    delays = [figures(Lips(speech(seed)), shown)["lip_delay"] for seed in range(1, 11)]
    assert np.isfinite(delays).sum() <= 1


def test_a_change_of_the_head_pose_is_no_motion_of_the_lips() -> None:
    said = speech()
    drift = 0.1 * np.linspace(0, 1, FRAMES)
    drifting = [
        seen_face(0.1 + d + 0.03 * a) for d, a in zip(drift, said.signals[::4, 1], strict=True)
    ]
    still = [seen_face(0.1 + d) for d in drift]
    moves = figures(Lips(said), drifting)["lips_move_in_speech"]
    assert moves == pytest.approx(3, rel=0.1)
    assert figures(Lips(said), still)["lips_move_in_speech"] < 0.6


def test_a_mouth_that_stays_shut_while_speech_is_heard_is_named() -> None:
    said = speech()
    limits = next(one for one in FIGURES if one.name == "lips_move_in_speech")
    assert limits.good is not None and limits.poor is not None
    shut = figures(Lips(said), faces(said, motion=0.004), faces(said))
    assert shut["lips_move_in_speech"] < limits.poor
    assert figures(Lips(said), faces(said))["lips_move_in_speech"] > limits.good


def test_lips_are_compared_with_the_source_in_its_own_speech() -> None:
    said, own = speech(), speech(1)
    result, source = faces(said, motion=0.02), faces(own, motion=0.04)
    assert "lips_move_as_source" not in figures(Lips(said), result, source)
    ratio = figures(Lips(said, own), result, source)["lips_move_as_source"]
    assert ratio == pytest.approx(0.5, rel=0.05)


def test_pauses_tell_a_mouth_that_rests_from_one_that_goes_on() -> None:
    spoken = np.arange(4 * FRAMES) % 400 < 250
    said = speech(spoken=spoken)
    silent = ~spoken[::4]
    resting = faces(said)
    for index in np.flatnonzero(silent):
        resting[index] = seen_face(0.05)
    restless = faces(speech())
    assert figures(Lips(said), resting)["lips_still_in_pauses"] < 0.1
    assert figures(Lips(said), restless)["lips_still_in_pauses"] > 0.8


def test_lips_are_compared_with_what_the_speakers_own_would_do() -> None:
    """Where a map for all speakers does not fit this one."""
    recorded, heard = acoustics(1), acoustics(2)
    said, own = speech(1), speech(2)
    source, dubbed = driven(recorded), driven(heard)
    lips = Lips(said, own, acoustics=heard, source_acoustics=recorded)
    assert figures(lips, dubbed, source)["lips_follow_own_prediction"] > 0.8
    lips = Lips(said, own, acoustics=heard, source_acoustics=recorded)
    assert abs(figures(lips, source, source)["lips_follow_own_prediction"]) < 0.25
    lips = Lips(own, own, acoustics=heard, source_acoustics=heard)
    assert "lips_follow_own_prediction" not in figures(lips, source, source)


def test_what_a_prediction_is_fitted_to_is_not_held_against_the_lips() -> None:
    """Noise that a fit would follow: half of what these lips do is not in the audio."""
    recorded = acoustics(1)
    noise = np.random.default_rng(3).standard_normal((FRAMES, 2))
    shapes = 0.03 * (recorded.cepstra[::4, :2] + noise)
    source = [seen_face(0.15 + a, 0.5 + w) for a, w in shapes]
    lips = Lips(speech(), speech(), acoustics=recorded, source_acoustics=recorded)
    found = figures(lips, source, source)["lips_follow_own_prediction"]
    assert 0.3 < found < 0.65


def acoustics(seed: int) -> Acoustics:
    columns = [slow(100 * seed + column) for column in range(2 * CEPSTRA)]
    return Acoustics(np.stack(columns, axis=1).astype(np.float32), np.ones(4 * FRAMES, bool))


def driven(by: Acoustics) -> list[SeenFace]:
    """Lips that two of the cepstra open and draw wide."""
    return [seen_face(0.15 + 0.03 * a, 0.5 + 0.03 * w) for a, w in by.cepstra[::4, :2]]


def test_lips_that_open_just_before_they_are_heard_still_rest() -> None:
    spoken = np.arange(4 * FRAMES) % 400 < 250
    said = speech(spoken=spoken)
    resting = faces(said)
    for index in np.flatnonzero(~spoken[::4]):
        opens = spoken[(4 * index + 12) % len(spoken)]
        resting[index] = seen_face(0.2 if opens else 0.05)
    assert figures(Lips(said), resting)["lips_still_in_pauses"] < 0.05


def test_bursts_of_frames_give_about_the_same() -> None:
    said = speech(spoken=np.arange(4 * FRAMES) % 400 < 250)
    shown = faces(said)
    burst = [index % 24 < 8 for index in range(FRAMES)]
    whole = figures(Lips(said, said), shown, shown)
    part = figures(Lips(said, said), shown, shown, seen=burst)
    assert part["lips_follow_prediction"] == pytest.approx(
        whole["lips_follow_prediction"], abs=0.08
    )
    assert part["lip_delay"] == pytest.approx(whole["lip_delay"], abs=20)
    assert part["lips_still_in_pauses"] == pytest.approx(whole["lips_still_in_pauses"], abs=0.1)
    for name in ("lips_move_in_speech", "lips_move_as_source"):
        assert part[name] == pytest.approx(whole[name], rel=0.15)


def test_bursts_that_are_far_apart_are_compared_with_each_other() -> None:
    said = speech()
    burst = [index % 100 < 8 for index in range(FRAMES)]
    assert figures(Lips(said), faces(said), seen=burst)["lips_follow_prediction"] > 0.75
    slow_lips = [seen_face(0.15 + 0.05 * np.sin(index / 7)) for index in range(FRAMES)]
    whole, part = figures(Lips(said), slow_lips), figures(Lips(said), slow_lips, seen=burst)
    assert part["lips_move_in_speech"] > 0.7 * whole["lips_move_in_speech"]


def test_without_speech_nothing_is_measured() -> None:
    silence = Speech(np.zeros(4 * FRAMES, bool), speech().signals)
    assert figures(Lips(silence), faces(speech())) == {}
    assert figures(Lips(speech()), [None] * FRAMES) == {}
    assert Lips(speech()).results() == []


def test_more_frames_a_second_are_no_more_evidence() -> None:
    lips = Lips(speech())
    for pair in pairs(faces(speech()), rate=100):
        lips.add(pair)
    assert len(by_name(lips.results())["lip_delay"].rows) == 30 * 5


def test_frames_after_the_end_of_the_audio_do_not_count() -> None:
    said = speech()
    short = Speech(said.speech[:1000], said.signals[:1000])
    lips = Lips(short)
    for pair in pairs(faces(said)):
        lips.add(pair)
    assert max(one.seconds[-1] for one in lips.results()) < 10
