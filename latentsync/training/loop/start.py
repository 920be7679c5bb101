"""Start weights: LatentSync's own checkpoints, or Stable Diffusion's, into a U-Net that may differ.

What a file lacks or has too much of is said, by group; anything else is an error.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from latentsync.errors import CheckpointError
from latentsync.weights.load import is_safetensors, read_state_dict, require_fit

logger = logging.getLogger(__name__)

CONVOLUTIONS = ("conv_in.", "conv_out.")
AUDIO = (".attn2.to_k.", ".attn2.to_v.")
MOTION = "motion_modules."


@dataclass(frozen=True, slots=True)
class Start:
    """step: of the file; steps are counted on from it. said: what of the network was not in it."""

    step: int
    said: tuple[str, ...] = ()


def start_unet(unet: nn.Module, path: Path | None) -> Start:
    """Loads the start weights, in place. path: {"global_step", "state_dict"}, or a bare
    state_dict; None: from nothing, the first and the last convolution zero.

    As upstream does: convolutions at the ends for other channels start from zero, keys and values
    for audio of another width at random, attention over time that the file lacks as the identity.
    Raises CheckpointError where anything else does not fit.
    """
    fresh = _fresh(unet)
    if path is None:
        unet.load_state_dict(fresh)
        return Start(0, ("no start weights: all are random",))
    given = read_state_dict(path)
    wanted = unet.state_dict()
    replaced = _other_shapes(wanted, given)
    missing = [key for key in wanted if key not in given and MOTION in key]
    surplus = [key for key in given if key not in wanted and MOTION in key]
    used = {key: value for key, value in given.items() if key not in {*replaced, *surplus}}
    _copy(unet, used | {key: fresh[key] for key in [*replaced, *missing]}, path)
    return Start(global_step(path), tuple(_said(wanted, given, replaced, missing, surplus)))


def start_strictly(network: nn.Module, path: Path | None) -> Start:
    """As start_unet for a network whose file has to fit exactly, as SyncNet's."""
    if path is None:
        return Start(0, ("no start weights: all are random",))
    _copy(network, read_state_dict(path), path)
    return Start(global_step(path))


def _copy(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Into the parameters that are there, in their dtype. Raises CheckpointError."""
    require_fit(network.state_dict(), state, path)
    network.load_state_dict(state)


def _fresh(unet: nn.Module) -> dict[str, Tensor]:
    """The initial weights, those of the convolutions at the ends zero."""
    return {
        key: torch.zeros_like(value) if key.startswith(CONVOLUTIONS) else value.clone()
        for key, value in unet.state_dict().items()
    }


def _other_shapes(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """Keys whose values in the file are for other channels or for other audio."""

    def excused(key: str) -> bool:
        return key.startswith(CONVOLUTIONS) or any(part in key for part in AUDIO)

    differing = [k for k in wanted if k in given and given[k].shape != wanted[k].shape]
    weights = [key for key in differing if excused(key)]
    # A convolution is replaced as a whole: its bias may have the same shape.
    ends = {end for end in CONVOLUTIONS if any(key.startswith(end) for key in weights)}
    return [k for k in wanted if k in weights or k.startswith(tuple(ends))]


def _said(
    wanted: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    replaced: Iterable[str],
    missing: list[str],
    surplus: list[str],
) -> Iterable[str]:
    keys = list(replaced)
    for end in CONVOLUTIONS:
        name = f"{end}weight"
        if name in keys:
            shapes = f"{tuple(given[name].shape)}, here {tuple(wanted[name].shape)}"
            yield f"{end[:-1]} starts from zero: its shape in the file is {shapes}"
    audio = [key for key in keys if any(part in key for part in AUDIO)]
    if audio:
        widths = f"{given[audio[0]].shape[-1]} wide in the file, here {wanted[audio[0]].shape[-1]}"
        yield f"{len(audio)} keys and values of attention to audio are random: {widths}"
    if missing:
        yield f"attention over time ({len(missing)} tensors) is not in the file: it starts as none"
    if surplus:
        yield f"attention over time ({len(surplus)} tensors) of the file is not used"


def global_step(path: Path) -> int:
    """Of a file of LatentSync's training; 0 where it says none."""
    if is_safetensors(path):
        return 0
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:  # the older format cannot be mapped
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, pickle.UnpicklingError) as error:
        raise CheckpointError("weights cannot be read", path, "download it again") from error
    step = content.get("global_step", 0) if isinstance(content, Mapping) else 0
    return int(step)
