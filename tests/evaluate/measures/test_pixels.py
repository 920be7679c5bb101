"""The measures of pixels: each fault of a mouth moves its own figure, and the rest stays good."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import nan

import cv2
import numpy as np
import pytest

from latentsync.evaluate.grades import grade as grade_of
from latentsync.evaluate.measures import colour, flicker, seam, sharpness
from latentsync.evaluate.measures.pixels import PixelMeasure
from latentsync.evaluate.pair import FramePair
from latentsync.evaluate.statistics import Estimate
from tests.support.textured_pairs import Change, blurred, pairs

FIGURES = {one.name: one for module in (sharpness, flicker, seam, colour) for one in module.FIGURES}


def measured(frames: Iterable[FramePair]) -> dict[str, float]:
    measure = PixelMeasure()
    for pair in frames:
        measure.add(pair)
    return {one.name: FIGURES[one.name].statistic(one.known().rows) for one in measure.results()}


def grade(name: str, value: float) -> str | None:
    return grade_of(FIGURES[name], Estimate(value, nan, nan), span=60.0)


def lighter(pixels: np.ndarray, _: int) -> np.ndarray:
    return pixels + 5


def blurred_every_other(pixels: np.ndarray, number: int) -> np.ndarray:
    return cv2.GaussianBlur(pixels, (0, 0), 1.5) if number % 2 else pixels


def sharpened(pixels: np.ndarray, _: int) -> np.ndarray:
    return pixels + 0.6 * (pixels - cv2.GaussianBlur(pixels, (0, 0), 1.5))


def test_a_mouth_as_filmed_is_good_by_every_figure() -> None:
    values = measured(pairs())
    assert values.keys() == FIGURES.keys()
    graded = [name for name in FIGURES if FIGURES[name].good is not None]
    assert {name: grade(name, values[name]) for name in graded} == dict.fromkeys(graded, "good")


@pytest.mark.parametrize("opening", [lambda _: 8.0, lambda number: 50 - 6 * np.cos(number / 2)])
def test_a_mouth_that_says_something_else_is_good_as_well(opening) -> None:
    values = measured(pairs(new_opening=opening))
    for name in ("mouth_sharpness", "flicker", "seam_colour", "seam_texture", "colour_shift"):
        assert grade(name, values[name]) == "good", name


@pytest.mark.parametrize(
    ("change", "hard", "name"),
    [
        (blurred(1.5), False, "mouth_sharpness"),
        (blurred(1.5), False, "mouth_sharpness_to_source"),
        (blurred_every_other, False, "flicker"),
        (lighter, True, "seam_colour"),
        (blurred(1.5), True, "seam_texture"),
        (lambda pixels, _: pixels + np.float32([14, -5, -12]), False, "colour_shift"),
    ],
)
def test_each_fault_is_poor_by_its_own_figure(change: Change, hard: bool, name: str) -> None:
    assert grade(name, measured(pairs(change, hard=hard))[name]) == "poor"


def test_a_soft_transition_is_no_seam_and_a_steady_mouth_no_flicker() -> None:
    values = measured(pairs(lambda pixels, number: blurred(0.9)(pixels, number) + 5))
    for name in ("seam_colour", "seam_texture", "flicker"):
        assert grade(name, values[name]) == "good", name
    assert grade("flicker", measured(pairs(sharpened))["flicker"]) == "good"


def test_a_sharper_mouth_is_sharper_and_its_warping_error_is_judged_by_contrast() -> None:
    plain, sharp = measured(pairs()), measured(pairs(sharpened))
    assert sharp["mouth_sharpness_to_source"] > 1.05 > plain["mouth_sharpness_to_source"] > 0.95
    assert sharp["mouth_sharpness"] > plain["mouth_sharpness"]
    assert sharp["warping_error"] < 1.2
    flickering = measured(pairs(blurred_every_other))
    assert flickering["warping_error"] > 1.3


def test_a_colour_shift_of_five_code_values_is_as_large_as_the_standard_says() -> None:
    # Around sRGB (200, 150, 120), five code values more are 1.7 by CIEDE2000.
    assert measured(pairs(lighter))["colour_shift"] == pytest.approx(1.7, abs=0.3)


def test_bursts_of_frames_give_about_the_same() -> None:
    frames = list(pairs(blurred_every_other, count=9))
    kept = [pair for pair in frames if pair.index % 6 < 3]
    bursts = measured(replace(pair, follows=pair.index % 6 > 0) for pair in kept)
    whole = measured(frames)
    assert bursts.keys() == whole.keys()
    for name in FIGURES:
        near = 0.6 if name == "warping_error" else 0.2  # of two pairs instead of three
        grain = FIGURES[name].grain
        assert bursts[name] == pytest.approx(whole[name], rel=near, abs=grain), name


def test_frames_that_do_not_follow_each_other_say_nothing_of_flicker() -> None:
    apart = [replace(pair, follows=False) for pair in pairs(blurred_every_other)]
    assert not {"flicker", "warping_error"} & measured(apart).keys()


def test_without_a_source_the_face_alone_tells_sharpness_and_flicker() -> None:
    values = measured(pairs(blurred_every_other, source=False))
    assert values.keys() == {"mouth_sharpness", "flicker"}
    assert grade("flicker", values["flicker"]) == "poor"
    soft = measured(pairs(blurred(1.5), source=False))
    assert grade("mouth_sharpness", soft["mouth_sharpness"]) == "poor"


def test_a_source_of_another_size_is_left_out() -> None:
    smaller = [replace(pair, source=pair.result[::2, ::2].copy()) for pair in pairs()]
    assert measured(smaller).keys() == {"mouth_sharpness", "flicker"}


def test_frames_without_a_face_are_skipped() -> None:
    assert measured(pairs(seen=False)) == {}
    later = [replace(pair, seconds=pair.seconds + 1) for pair in pairs()]
    some = [*pairs(seen=False), *later]
    assert measured(some) == measured(pairs())


def test_an_edge_that_the_source_has_itself_is_no_seam() -> None:
    edged = pairs(lambda pixels, number: blurred(1.5)(pixels, number) + 5, hard=True, count=2)
    values = measured(replace(pair, source=pair.result) for pair in edged)
    assert values["seam_colour"] == pytest.approx(0, abs=0.01)
    assert values["seam_texture"] == pytest.approx(0, abs=0.01)
