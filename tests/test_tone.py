"""The SDR view of HLG, PQ and deep SDR frames rises everywhere and has an inverse."""

from __future__ import annotations

import numpy as np
import pytest

from latentsync.curves import HLG, PQ
from latentsync.geometry import extract
from latentsync.tone import extract_levels, from_levels, sdr, to_levels
from latentsync.types import Frame

CODES = np.arange(65536, dtype=np.uint16)[:, None]
OF_10_BITS = 65535 / 1023


@pytest.mark.parametrize("transfer", ["", HLG, PQ])
def test_the_view_rises_from_black_to_white_and_has_an_inverse(transfer: str) -> None:
    levels = to_levels(CODES, transfer)
    assert levels[0] == 0 and levels[-1] == 255 and (np.diff(levels, axis=0) > 0).all()
    back = from_levels(levels, transfer)
    assert np.abs(back - CODES).max() < OF_10_BITS / 8


@pytest.mark.parametrize(
    ("transfer", "signal", "level"),
    [
        (HLG, 0.75, 222),  # white of 203 cd/m2, ITU-R BT.2408
        (PQ, 0.5807, 218),
        (HLG, 0.38, 109),  # a grey card of 18 %: about 26 cd/m2
        (PQ, 0.38, 108),
        ("", 0.5, 127.5),
    ],
)
def test_white_and_grey_lie_where_an_sdr_display_shows_them(
    transfer: str, signal: float, level: float
) -> None:
    code = np.array([[round(signal * 65535)]], np.uint16)
    assert to_levels(code, transfer)[0, 0] == pytest.approx(level, abs=1)


@pytest.mark.parametrize("transfer", ["", HLG, PQ])
def test_the_view_of_a_frame_is_rounded_to_8_bits(transfer: str) -> None:
    pixels = np.ascontiguousarray(np.broadcast_to(CODES[::16, None], (4096, 2, 3)))
    view = sdr(Frame(3, 0.12, 1, pixels, pixels[..., 0], transfer, "carrier"))
    assert view.pixels.dtype == np.uint8
    assert np.abs(view.pixels - to_levels(pixels, transfer)).max() <= 0.5
    assert (view.index, view.alpha, view.transfer, view.carrier) == (3, None, "", None)
    assert sdr(view) is view


def test_crops_are_finer_than_the_rounded_view() -> None:
    ramp = np.linspace(20000, 20600, 40).astype(np.uint16)
    pixels = np.ascontiguousarray(np.broadcast_to(ramp[None, :, None], (20, 40, 3)))
    frame, identity = Frame(0, 0, 0, pixels, transfer=HLG), np.eye(2, 3)
    fine, rounded = (
        extract_levels(frame, identity, (20, 40)),
        extract(sdr(frame).pixels, identity, (20, 40)),
    )
    assert 0 < np.abs((fine - rounded).numpy()).max() <= 0.5 / 127.5 + 1e-6
    assert len(np.unique(fine[0, 0].numpy())) > 30 > 5 > len(np.unique(rounded[0, 0].numpy()))
