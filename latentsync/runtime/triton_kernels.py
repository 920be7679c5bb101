"""Kernels of a GPU. Importing this module needs Triton, which comes with PyTorch for CUDA.

Triton compiles the functions itself, from their source: their parameters have no types but its own.
"""

# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl


@triton.jit
def sums(
    x, total, squares, length, channels, C: tl.constexpr, T: tl.constexpr, STEPS: tl.constexpr
):
    """x: (N, length, channels) -> total, squares: (N, parts, channels) float32, of T * STEPS
    tokens each."""
    sample, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    column = tl.program_id(2) * C + tl.arange(0, C)
    inside = column < channels
    begin = x + sample * length * channels
    sum_of = tl.zeros([C], tl.float32)
    sum_of_squares = tl.zeros([C], tl.float32)
    for step in range(STEPS):
        row = (part * STEPS + step) * T + tl.arange(0, T)
        there = (row < length)[:, None] & inside[None, :]
        value = tl.load(begin + row[:, None] * channels + column[None, :], there, 0.0).to(
            tl.float32
        )
        sum_of += tl.sum(value, 0)
        sum_of_squares += tl.sum(value * value, 0)
    place = (sample * tl.num_programs(1) + part) * channels + column
    tl.store(total + place, sum_of, inside)
    tl.store(squares + place, sum_of_squares, inside)


@triton.jit
def applied(x, scale, shift, y, length, channels, C: tl.constexpr, T: tl.constexpr):
    """y = x * scale + shift. x, y: (N, length, channels). scale, shift: (N, channels) float32."""
    sample = tl.program_id(0).to(tl.int64)
    column = tl.program_id(2) * C + tl.arange(0, C)
    row = tl.program_id(1) * T + tl.arange(0, T)
    inside = column < channels
    there = (row < length)[:, None] & inside[None, :]
    place = sample * length * channels + row[:, None] * channels + column[None, :]
    factor = tl.load(scale + sample * channels + column, inside, 0.0)
    added = tl.load(shift + sample * channels + column, inside, 0.0)
    value = tl.load(x + place, there, 0.0).to(tl.float32)
    result = value * factor[None, :] + added[None, :]
    tl.store(y + place, result.to(y.dtype.element_ty), there)
