"""Each stage trains the parameters that upstream's does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn

from latentsync.errors import ConfigError
from latentsync.models.unet import UNet3DConditionModel
from latentsync.training.trainable import ALL, EFFICIENT, STAGE2, choose

STAGES: dict[str, tuple[dict[str, Any], Sequence[str] | str, int, int]] = {
    "stage1": ({"use_motion_module": False}, ALL, 686, 849_962_244),
    "stage2": ({}, STAGE2, 936, 674_792_320),
    "stage2_efficient": ({"motion_module_decoder_only": True}, EFFICIENT, 392, 284_660_480),
}


def published(**settings: Any) -> UNet3DConditionModel:
    with torch.device("meta"):
        return UNet3DConditionModel(**settings)


@pytest.mark.parametrize(("settings", "parts", "count", "numbers"), STAGES.values(), ids=STAGES)
def test_a_stage_trains_as_many_tensors_as_upstream_s(
    settings: dict[str, Any], parts: Sequence[str] | str, count: int, numbers: int
) -> None:
    unet = published(**settings)
    chosen = choose(unet, parts)
    assert len(chosen) == count
    assert sum(value.numel() for value in chosen) == numbers
    wanted = {id(value) for value in chosen}
    assert all(value.requires_grad == (id(value) in wanted) for value in unet.parameters())


def test_attention_over_time_is_not_taken_for_attention_in_space() -> None:
    unet = published()
    choose(unet, ["attentions."])
    names = [name for name, value in unet.named_parameters() if value.requires_grad]
    assert names and not any("attention_blocks." in name for name in names)


def test_no_parts_at_all_and_a_later_choice_replace_an_earlier_one() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert len(choose(network, ["1."])) == 2
    assert len(choose(network, [])) == 4
    assert choose(network, "0.bias") == [network[0].bias]
    assert not network[1].weight.requires_grad


@pytest.mark.parametrize("piece", ["motion_module", ""])
def test_a_piece_that_is_in_no_name_is_refused(piece: str) -> None:
    with pytest.raises(ConfigError, match="no parameter of the network"):
        choose(nn.Linear(2, 2), ["bias", piece])
