"""Which pixel format of an encoder keeps most of a video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from av.video.format import VideoFormat

from latentsync.media.samples import bits_of, chroma_steps, has_alpha, is_gray

_NO_CHROMA = 4  # samples of luma to one of chroma, across and down, that a grey video needs at most


@dataclass(frozen=True, slots=True)
class Depth:
    """What a pixel format holds. across, down: luma samples for one of chroma."""

    rgb: bool
    alpha: bool
    across: int
    down: int
    bits: int  # per channel

    @classmethod
    def of(cls, pix_fmt: str) -> Depth:
        format_ = VideoFormat(pix_fmt, 16, 16)
        grey = is_gray(format_) and not format_.is_rgb
        across, down = (_NO_CHROMA, _NO_CHROMA) if grey else chroma_steps(format_)
        return cls(format_.is_rgb, has_alpha(format_), across, down, bits_of(format_))

    def lost(self, kept: Depth) -> tuple[int, int, int]:
        """What the other lacks: alpha, bits, chroma; all 0: nothing."""
        chroma = max(0, kept.across - self.across) + max(0, kept.down - self.down)
        return int(self.alpha and not kept.alpha), max(0, self.bits - kept.bits), chroma

    def spare(self, kept: Depth) -> int:
        """How much more the other could hold: an order, no unit."""
        chroma = max(0, self.across - kept.across) + max(0, self.down - kept.down)
        return 64 * (kept.alpha and not self.alpha) + max(0, kept.bits - self.bits) + 16 * chroma


def by_loss(pix_fmt: str, choices: Sequence[str]) -> list[str]:
    """The choices, those that lose least of the format first, then those that waste least.

    RGB counts as 4:2:0, which every player takes, where the encoder takes that but no RGB.
    """
    source, held = Depth.of(pix_fmt), {name: Depth.of(name) for name in choices}
    rgb = source.rgb and any(one.rgb for one in held.values())
    held = {name: one for name, one in held.items() if one.rgb == rgb}
    if source.rgb and not rgb:
        chroma = max(one.across for one in held.values()), max(one.down for one in held.values())
        source = Depth(False, source.alpha, *chroma, source.bits)
    return sorted(held, key=lambda name: _cost(source, held[name]))


def _cost(source: Depth, choice: Depth) -> tuple[tuple[int, int, int], int]:
    return source.lost(choice), source.spare(choice)


def losses(pix_fmt: str, written: str, encoder: str) -> Iterator[str]:
    """What the written format cannot hold of the other, in words; alpha is not named."""
    source, kept = Depth.of(pix_fmt), Depth.of(written)
    _, lost_bits, lost_chroma = source.lost(kept)
    if lost_bits:
        yield f"has {source.bits} bits per channel: {kept.bits} are kept ({encoder}, {written})"
    if lost_chroma:
        yield f"has {_sampling(source)}: {_sampling(kept)} is kept ({encoder}, {written})"


def _sampling(depth: Depth) -> str:
    if depth.rgb:
        return "colour at full resolution (RGB)"
    names = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1"}
    return names.get((depth.across, depth.down), "other") + " chroma"
