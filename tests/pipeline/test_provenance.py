"""Where and when something changed, and a watermark of the user's own."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from latentsync.errors import ConfigError, UnknownPluginError
from latentsync.pipeline.provenance import MOST_SPANS, spans_of
from latentsync.pipeline.watermark import Watermark, load_watermark
from latentsync.settings.schema import OutputConfig
from latentsync.types import Box, Frame


def spans(changed: list[int], boxes: np.ndarray | None = None):
    flags = np.array(changed, bool)
    if boxes is None:
        boxes = np.tile([1, 2, 3, 4], (len(flags), 1))
    return spans_of(flags, boxes, np.arange(len(flags)) / 10, len(flags) / 10)


def test_each_run_of_changed_frames_is_a_span_with_the_box_around_them() -> None:
    boxes = np.array([[0, 0, 0, 0], [5, 6, 9, 9], [4, 7, 8, 12], [0, 0, 0, 0], [1, 1, 2, 2]])
    first, second = spans([0, 1, 1, 0, 1], boxes)
    assert first == (Box(4, 6, 9, 12), (0.1, 0.3))
    assert second == (Box(1, 1, 2, 2), (0.4, 0.5))
    assert spans([0, 0]) == []


def test_of_too_many_spans_the_nearest_are_joined() -> None:
    near = [1, 0] * 20
    runs = spans([*near, *([1, 0, 0] * (MOST_SPANS - 1))])
    assert len(runs) == MOST_SPANS
    assert runs[0].seconds == (0.0, 3.9)
    assert np.diff(runs[1].seconds) == pytest.approx(0.1)


def frame() -> Frame:
    return Frame(0, 0.0, 0, np.zeros((4, 6, 3), np.uint8))


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("plugin_of_a_test")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_a_watermark_is_loaded_with_the_settings_and_makes_a_frame_of_a_frame(plugin) -> None:
    given: list[OutputConfig] = []
    plugin.load = lambda config: given.append(config) or (lambda pixels: pixels + 7)
    config = OutputConfig(watermark="plugin_of_a_test:load")
    mark = load_watermark(config)
    assert mark is not None and given == [config]
    before = frame()
    assert (mark(before).pixels == 7).all() and (before.pixels == 0).all()
    assert load_watermark(OutputConfig()) is None


@pytest.mark.parametrize("made", [None, np.zeros((4, 6), np.uint8), np.zeros((4, 6, 3))])
def test_anything_else_than_such_a_frame_is_refused(made: object) -> None:
    with pytest.raises(ConfigError, match=r"output\.watermark"):
        Watermark("a:b", lambda _: made)(frame())  # type: ignore[arg-type, return-value]


def test_a_watermark_that_is_none_is_refused_before_any_work(plugin) -> None:
    plugin.load = lambda _: "mark"
    with pytest.raises(ConfigError, match="returned str"):
        load_watermark(OutputConfig(watermark="plugin_of_a_test:load"))
    with pytest.raises(UnknownPluginError, match=r"use package\.module:attribute"):
        load_watermark(OutputConfig(watermark="mark"))
