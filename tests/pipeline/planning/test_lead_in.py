"""Where a segment has to begin, so that the restoration's memory is as in the whole."""

from __future__ import annotations

import pytest

from latentsync.pipeline.planning.layout import lead_in
from latentsync.restoration.temporal import LONGEST
from latentsync.settings.schema import RestoreConfig


def test_without_memory_it_begins_where_it_begins() -> None:
    config = RestoreConfig(code_margin=0.0)
    assert lead_in(50, config, keeps_codes=True) == 50
    assert lead_in(50, RestoreConfig(code_margin=1.0), keeps_codes=False) == 50


def test_codes_need_the_frames_that_they_may_come_from() -> None:
    assert lead_in(50, RestoreConfig(code_margin=1.0), keeps_codes=True) == 50 - (LONGEST - 1)
    assert lead_in(5, RestoreConfig(code_margin=1.0), keeps_codes=True) == 0


def test_reuse_begins_at_a_frame_that_is_restored_in_any_case() -> None:
    config = RestoreConfig(code_margin=0.0, reuse=4.0)
    assert lead_in(50, config) == 48
    with_codes = RestoreConfig(code_margin=1.0, reuse=4.0)
    assert lead_in(50, with_codes, keeps_codes=True) == 36


@pytest.mark.parametrize("start", range(60, 60 + LONGEST))
def test_a_reused_residual_has_the_codes_that_it_needs(start: int) -> None:
    config = RestoreConfig(code_margin=1.0, reuse=4.0)
    reused_from = start - start % LONGEST  # at the latest it was restored here
    assert lead_in(start, config, keeps_codes=True) <= reused_from - (LONGEST - 1)


@pytest.mark.parametrize("reuse", [0.0, 4.0])
def test_what_each_needs_adds_up(reuse: float) -> None:
    """The average is of residuals, which need their codes, which need to know what is reused."""
    config = RestoreConfig(temporal=0.5, code_margin=1.0, reuse=reuse)
    needed = 200 - 14 - (LONGEST if reuse else LONGEST - 1)  # 0.5 ** 14 < 1 / 10 000
    assert lead_in(200, config, keeps_codes=True) == (
        needed // LONGEST * LONGEST if reuse else needed
    )
