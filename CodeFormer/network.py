"""The CodeFormer network, our own code, key-compatible with the published weights.

An encoder turns the degraded face into a 16 x 16 grid of features, a transformer predicts for each
of them one of 1024 entries of a codebook of high-quality faces, and a generator decodes the
entries. `w` controls how much of the encoder's features is added (arXiv 2206.11253).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZE = 512  # side of the face; the position table fixes it
GRID = 16  # side of the grid of codes
CODE = 256  # numbers in one codebook entry
ENTRIES = 1024
WIDTH = 512  # of the transformer, and of the convolutions at 16 x 16
HEADS = 8
LAYERS = 9

# Runs over the sides 512, 256, ... 16.
CHANNELS = (64, 128, 128, 256, 256, 512)
BLOCKS_PER_SIDE = 2

# The encoder blocks whose outputs are kept, and where they are used: generator block -> name of the
# fusion, which is the side of the map. Kept from the largest to the smallest, used in reverse.
KEPT_AFTER = (5, 8, 11, 14)
FUSED_AFTER = {9: "32", 12: "64", 15: "128", 18: "256"}

SPREAD_FLOOR = 1e-5


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels, eps=1e-6)


def _conv3(c_in: int, c_out: int) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, 3, padding=1)


class ResBlock(nn.Module):
    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(c_in), _conv3(c_in, c_out)
        self.norm2, self.conv2 = _norm(c_out), _conv3(c_out, c_out)
        if c_in != c_out:
            self.conv_out = nn.Conv2d(c_in, c_out, 1)
        self.changes_channels = c_in != c_out

    def forward(self, x: Tensor) -> Tensor:
        detail = self.conv1(F.silu(self.norm1(x)))
        detail = self.conv2(F.silu(self.norm2(detail)))
        return (self.conv_out(x) if self.changes_channels else x) + detail


class AttnBlock(nn.Module):
    """Self-attention on the 16 x 16 grid. One head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        q, k, v = (_tokens(project(normed)) for project in (self.q, self.k, self.v))
        return x + self.proj_out(_grid(F.scaled_dot_product_attention(q, k, v)))


def _tokens(x: Tensor) -> Tensor:
    """(N, c, h, w) -> (N, h * w, c), row by row."""
    return x.flatten(2).transpose(1, 2)


def _grid(x: Tensor) -> Tensor:
    """(N, 256, c) -> (N, c, 16, 16)."""
    return x.transpose(1, 2).unflatten(2, (GRID, GRID))


class Downsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))  # right and bottom only


class Upsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = _conv3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class BlockList(nn.Module):
    """Blocks that run one after the other. Their numbers are part of the weights file's keys."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)


def _middle(channels: int) -> list[nn.Module]:
    return [ResBlock(channels, channels), AttnBlock(channels), ResBlock(channels, channels)]


def _side_blocks(c_in: int, c_out: int) -> list[nn.Module]:
    """The residual blocks of one side; at 16 x 16 each is followed by attention."""
    blocks: list[nn.Module] = []
    for number in range(BLOCKS_PER_SIDE):
        blocks.append(ResBlock(c_in if number == 0 else c_out, c_out))
        if c_out == CHANNELS[-1]:
            blocks.append(AttnBlock(c_out))
    return blocks


def _encoder() -> BlockList:
    blocks: list[nn.Module] = [_conv3(3, CHANNELS[0])]
    c_in = CHANNELS[0]
    for c_out in CHANNELS:
        blocks += _side_blocks(c_in, c_out)
        if c_out != CHANNELS[-1]:
            blocks.append(Downsample(c_out))
        c_in = c_out
    return BlockList([*blocks, *_middle(c_in), _norm(c_in), _conv3(c_in, CODE)])


def _generator() -> BlockList:
    c_in = CHANNELS[-1]
    blocks: list[nn.Module] = [_conv3(CODE, c_in), *_middle(c_in)]
    for number, c_out in enumerate(reversed(CHANNELS)):
        if number:
            blocks.append(Upsample(c_in))
        blocks += _side_blocks(c_in, c_out)
        c_in = c_out
    return BlockList([*blocks, _norm(c_in), _conv3(c_in, 3)])


class TransformerLayer(nn.Module):
    """Pre-norm. Positions are added to queries and keys, not to values."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.linear1 = nn.Linear(WIDTH, 2 * WIDTH)
        self.linear2 = nn.Linear(2 * WIDTH, WIDTH)
        self.norm1 = nn.LayerNorm(WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        normed = self.norm1(x)
        placed = normed + positions
        x = x + self.self_attn(placed, placed, normed, need_weights=False)[0]
        return x + self.linear2(F.gelu(self.linear1(self.norm2(x))))


class Fusion(nn.Module):
    """Scales and shifts the generator's map, conditioned by the encoder's map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encode_enc = ResBlock(2 * channels, channels)
        self.scale = self._head(channels)
        self.shift = self._head(channels)

    @staticmethod
    def _head(channels: int) -> nn.Sequential:
        return nn.Sequential(
            _conv3(channels, channels), nn.LeakyReLU(0.2), _conv3(channels, channels)
        )

    def forward(self, encoded: Tensor, painted: Tensor, w: float | Tensor) -> Tensor:
        both = self.encode_enc(torch.cat([encoded, painted], dim=1))
        return painted + w * (painted * self.scale(both) + self.shift(both))


class Codebook(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(ENTRIES, CODE)


def match_statistics(content: Tensor, style: Tensor) -> Tensor:
    """(N, c, h, w) both: content with the mean and the spread of style, channel by channel."""
    mean, std = _mean_std(content)
    new_mean, new_std = _mean_std(style)
    return (content - mean) / std * new_std + new_mean


def _mean_std(x: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(x, dim=(2, 3), correction=1, keepdim=True)
    return mean, (variance + SPREAD_FLOOR).sqrt()


class CodeFormer(nn.Module):
    """faces: (N, 3, 512, 512) float RGB [-1, 1] -> the same shape, unclamped. Deterministic.

    w: 0 uses the codebook alone (sharp, may change the identity), 1 stays closest to the input; up
    to 1.2 is allowed. adain: the codes get the statistics of the input's features.
    """

    def __init__(self) -> None:
        super().__init__()
        self.position_emb = nn.Parameter(torch.zeros(GRID * GRID, WIDTH))
        self.encoder = _encoder()
        self.quantize = Codebook()
        self.generator = _generator()
        self.feat_emb = nn.Linear(CODE, WIDTH)
        self.ft_layers = nn.ModuleList(TransformerLayer() for _ in range(LAYERS))
        self.idx_pred_layer = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, ENTRIES, bias=False)
        )
        fusions = zip(FUSED_AFTER.values(), reversed(CHANNELS[1:-1]), strict=True)
        self.fuse_convs_dict = nn.ModuleDict({side: Fusion(count) for side, count in fusions})

    def forward(self, x: Tensor, w: float = 0.5, adain: bool = True) -> Tensor:
        features, kept = self.encode(x)
        codes = self.logits(features).argmax(dim=2)
        return self.paint(codes, kept, w, style=features if adain else None)

    def codes(self, x: Tensor) -> Tensor:
        """(N, 256) int64: the codebook entries chosen, row by row."""
        return self.logits(self.encode(x)[0]).argmax(dim=2)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """-> features (N, 256, 16, 16); maps kept for the fusion, of sides 256, 128, 64, 32."""
        if x.dim() != 4 or x.shape[1:] != (3, SIZE, SIZE):
            raise ValueError(f"CodeFormer takes faces (N, 3, {SIZE}, {SIZE}), not {tuple(x.shape)}")
        kept = []
        for number, block in enumerate(self.encoder.blocks):
            x = block(x)
            if number in KEPT_AFTER:
                kept.append(x)
        return x, kept

    def logits(self, features: Tensor) -> Tensor:
        """(N, 256, 16, 16) -> (N, 256, 1024): how well each codebook entry fits each place."""
        x = self.feat_emb(_tokens(features))
        for layer in self.ft_layers:
            x = layer(x, self.position_emb)
        return self.idx_pred_layer(x)

    def paint(
        self, codes: Tensor, kept: list[Tensor], w: float | Tensor, *, style: Tensor | None
    ) -> Tensor:
        """codes (N, 256) -> faces. w: a tensor of one number is taken to be above 0. style:
        features whose statistics the codes get, or None."""
        fused = isinstance(w, Tensor) or w > 0
        x = _grid(self.quantize.embedding(codes))
        if style is not None:
            x = match_statistics(x, style)
        smallest_first = reversed(kept)
        for number, block in enumerate(self.generator.blocks):
            x = block(x)
            if fused and number in FUSED_AFTER:
                x = self.fuse_convs_dict[FUSED_AFTER[number]](next(smallest_first), x, w)
        return x
