"""Who speaks, on made-up mouths and audio whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentsync.face.speaking import FRAME_RATE, Speaking, Speech, TalkingFace, who_speaks

SECONDS = 12
RNG = np.random.default_rng(11)


def voice(seconds: int = SECONDS, *, seed: int = 0) -> np.ndarray:
    """(T,) 100 a second: a random movement as fast as that of lips."""
    noise = np.random.default_rng(seed).normal(size=seconds * 100 + 40)
    smooth = np.convolve(noise, np.hanning(20), mode="valid")[: seconds * 100]
    return smooth / smooth.std()


def speech_of(values: np.ndarray, *, spoken: np.ndarray | None = None) -> Speech:
    flags = np.ones(len(values), bool) if spoken is None else spoken
    return Speech(flags, np.tile(values[:, None], (1, 4)))


def mouth(
    values: np.ndarray, *, rate: float = 25, noise: float = 1.0, size: float = 0.03
) -> TalkingFace:
    """A face whose lips follow the values, seen `rate` times a second."""
    seconds = np.arange(int(len(values) / 100 * rate)) / rate
    followed = np.interp(seconds * 100, np.arange(len(values)), values)
    lips = (followed + RNG.normal(0, noise, (2, len(seconds)))) * size
    return TalkingFace(seconds, 0.1 + lips[0], 0.4 + lips[1])


def scored(face: TalkingFace, scores: np.ndarray | float) -> TalkingFace:
    """The same with LR-ASD's scores, one for each frame of 25 a second; no visual activity."""
    seconds = np.arange(int(face.seconds[-1] * FRAME_RATE) + 1) / FRAME_RATE
    values = np.broadcast_to(np.asarray(scores, float), seconds.shape)
    return TalkingFace(
        face.seconds, face.aperture, face.width, seconds, values, np.full(len(seconds), np.nan)
    )


def shut(seconds: int = SECONDS) -> TalkingFace:
    return mouth(np.zeros(seconds * 100), noise=0.03)


def speakers(result: Speaking) -> list[int | None]:
    return [span.face for span in result.spans]


@pytest.mark.parametrize("rate", [12, 25, 30, 60])
def test_of_two_moving_mouths_the_one_that_follows_the_audio_speaks(rate: float) -> None:
    own, other = mouth(voice(), rate=rate), mouth(voice(seed=1), rate=rate)
    assert speakers(who_speaks([other, own], speech_of(voice()))) == [1]
    assert speakers(who_speaks([own, other], speech_of(voice()))) == [0]


def test_a_mouth_that_is_shut_does_not_speak_while_another_one_moves() -> None:
    moving = mouth(voice(seed=5))  # does not follow the audio: dubbed, for instance
    result = who_speaks([shut(), moving], speech_of(voice()))
    assert speakers(result) == [1] and result.probability[1].mean() > 0.8


def test_a_high_score_of_a_mouth_that_moves_out_of_step_does_not_win() -> None:
    """LR-ASD tells that a mouth talks, not that its speech is in the audio."""
    own, other = scored(mouth(voice()), 2.5), scored(mouth(voice(seed=1)), 3.9)
    assert speakers(who_speaks([own, other], speech_of(voice()))) == [0]


def test_a_much_lower_score_decides_where_the_movement_tells_nothing() -> None:
    one, other = mouth(voice(seed=2)), mouth(voice(seed=3))
    talks, listens = scored(one, 3.0), scored(other, -1.0)
    assert speakers(who_speaks([listens, talks], speech_of(voice()))) == [1]
    assert who_speaks([listens, talks], speech_of(voice())).evidence == (
        "motion",
        "correlation",
        "LR-ASD",
    )


def test_scores_count_by_comparison_only() -> None:
    one, other = mouth(voice()), mouth(voice(seed=1))
    low = who_speaks([scored(one, 2.0), scored(other, 1.5)], speech_of(voice()))
    high = who_speaks([scored(one, 5.0), scored(other, 4.5)], speech_of(voice()))
    np.testing.assert_allclose(low.probability, high.probability, atol=0.1)


def test_scores_of_one_face_alone_are_not_used() -> None:
    own, other = mouth(voice()), scored(mouth(voice(seed=1)), 9.0)
    result = who_speaks([own, other], speech_of(voice()))
    assert speakers(result) == [0] and "LR-ASD" not in result.evidence


def test_a_face_without_any_score_does_not_keep_the_others_from_being_used() -> None:
    one, other, third = mouth(voice(seed=2)), mouth(voice(seed=3)), shut()
    nothing = replace(third, score_seconds=np.empty(0), scores=np.empty(0), activity=np.empty(0))
    faces = [scored(other, -1.0), scored(one, 3.0), nothing]
    result = who_speaks(faces, speech_of(voice()))
    assert speakers(result) == [1] and "LR-ASD" in result.evidence


def test_two_mouths_that_follow_the_audio_alike_are_uncertain() -> None:
    one, other = mouth(voice(), noise=1), mouth(voice(), noise=1)
    result = who_speaks([one, other], speech_of(voice()))
    assert (result.probability.mean(axis=1) < 0.8).all()


def test_turns_are_told_apart_at_the_pause_between_them() -> None:
    first, second = voice(), voice(seed=1)
    half = len(first) // 2
    spoken = np.ones(len(first), bool)
    spoken[half - 20 : half + 20] = False
    audio = np.concatenate([first[:half], second[half:]])
    still = np.zeros(half)
    left = mouth(np.concatenate([first[:half], still]))
    right = mouth(np.concatenate([still, second[half:]]))
    result = who_speaks([left, right], speech_of(audio, spoken=spoken))
    assert speakers(result) == [0, 1]
    assert result.spans[0].stop == pytest.approx(half / 100 - 0.2, abs=0.05)
    assert result.spans[1].start == pytest.approx(half / 100 + 0.2, abs=0.05)


def test_nobody_speaks_where_there_is_no_speech() -> None:
    silent = np.zeros(SECONDS * 100, bool)
    result = who_speaks([mouth(voice())], speech_of(voice(), spoken=silent))
    assert result.spans == () and not result.probability.any()


def test_a_single_face_that_follows_the_audio_speaks() -> None:
    result = who_speaks([mouth(voice())], speech_of(voice()))
    assert speakers(result) == [0] and result.probability[0].mean() > 0.8


def test_a_single_face_with_a_shut_mouth_does_not_speak() -> None:
    result = who_speaks([scored(shut(), -1.0)], speech_of(voice()))
    assert speakers(result) == [None]


def test_without_a_face_nobody_visible_speaks() -> None:
    result = who_speaks([], speech_of(voice()))
    assert speakers(result) == [None] and result.probability.shape[0] == 0


def test_a_face_speaks_only_while_it_is_in_the_frame() -> None:
    whole = mouth(voice())
    there = whole.seconds > SECONDS / 2
    late = TalkingFace(whole.seconds[there], whole.aperture[there], whole.width[there])
    result = who_speaks([late, shut()], speech_of(voice()))
    before = result.seconds < SECONDS / 2 - 0.3
    assert (result.probability[0, before] == 0).all()
    assert result.probability[0, ~before][50:-10].mean() > 0.8


def test_probabilities_are_given_for_the_times_of_frames() -> None:
    result = who_speaks([mouth(voice()), shut()], speech_of(voice()))
    times = np.array([0.5, 3.333, 99.0])
    np.testing.assert_array_equal(result.at(times)[:, 1], result.probability[:, 83])
    assert result.at(times).shape == (2, 3)
