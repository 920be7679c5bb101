"""Group norms in channels-last layout give what PyTorch's own give."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from latentsync.models.resnet import FramesGroupNorm
from latentsync.runtime import norm_kernels
from latentsync.runtime.group_norm import ChannelsLastNorm, use_channels_last_norms

TOLERANCE = 1e-5  # from another order of sums


def norm(kind: type[nn.GroupNorm] = nn.GroupNorm, channels: int = 12) -> nn.GroupNorm:
    torch.manual_seed(0)
    made = kind(3, channels)
    nn.init.normal_(made.weight)
    nn.init.normal_(made.bias)
    return made.requires_grad_(False)


def values(*shape: int) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(1)) + 2


@pytest.mark.parametrize("shape", [(2, 12, 5, 7), (3, 12, 10)], ids=str)
def test_the_result_is_pytorch_s(shape: tuple[int, ...]) -> None:
    own, x = norm(), values(*shape)
    expected = own(x)
    use_channels_last_norms(own)
    assert type(own) is ChannelsLastNorm
    torch.testing.assert_close(own(x), expected, rtol=0, atol=TOLERANCE)


def test_channels_stay_last() -> None:
    own, x = norm(), values(2, 12, 5, 7).contiguous(memory_format=torch.channels_last)
    use_channels_last_norms(own)
    assert own(x).is_contiguous(memory_format=torch.channels_last)


def test_a_norm_over_all_frames_is_one_over_all_frames_still() -> None:
    own = norm(FramesGroupNorm)
    x = values(6, 12, 4, 5).contiguous(memory_format=torch.channels_last)
    expected = own(x, 3)  # type: ignore[arg-type]
    use_channels_last_norms(nn.ModuleList([own]))
    assert isinstance(own, FramesGroupNorm) and isinstance(own, ChannelsLastNorm)
    made = own(x, 3)  # type: ignore[arg-type]
    torch.testing.assert_close(made, expected, rtol=0, atol=TOLERANCE)
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert (own(x, 6) - expected).abs().max() > 0.1, "3 or 6 frames make no difference"  # type: ignore[arg-type]


def test_sums_are_not_rounded_to_16_bits() -> None:
    """10,000 ones are 9984 or 10,048 in bf16."""
    own, x = norm().bfloat16(), values(1, 12, 100, 100).bfloat16()
    expected = nn.functional.group_norm(x.float(), 3, own.weight.float(), own.bias.float())
    use_channels_last_norms(own)
    made = own(x)
    assert made.dtype == torch.bfloat16
    assert ((made.float() - expected).abs() < 0.01 * expected.abs() + 0.01).all()


def test_keys_and_weights_stay() -> None:
    own = norm()
    before = {key: value.clone() for key, value in own.state_dict().items()}
    use_channels_last_norms(own)
    assert all(torch.equal(before[key], value) for key, value in own.state_dict().items())
    use_channels_last_norms(own)
    assert type(own) is ChannelsLastNorm


def test_without_weights_of_its_own_it_only_normalises() -> None:
    own, x = nn.GroupNorm(3, 12, affine=False), values(2, 12, 6)
    expected = own(x)
    use_channels_last_norms(own)
    torch.testing.assert_close(own(x), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_triton_pytorch_computes_the_sums() -> None:
    norm_kernels.available.cache_clear()
    assert not norm_kernels.available(), "there is neither Triton nor a GPU here"
