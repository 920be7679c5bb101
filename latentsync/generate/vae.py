"""The VAE: diffusers' network, loaded from local files only.

Or TAESD, a small network that was trained to give the same latents and faces: its posterior has no
deviation, and its latents are scaled already.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentsync.errors import CheckpointError
from latentsync.generate.coding import CHANNELS, LATENT_SCALE
from latentsync.generate.model_spec import LATENT_STEP
from latentsync.runtime.execution import Execution, output_dtype
from latentsync.runtime.network import Networks, Part
from latentsync.weights.load import build, log_weights_used
from latentsync.weights.manifest import TAESD, VAE
from latentsync.weights.model_file import ModelFile

CONFIG_NAME = "config.json"
STAGES = 4  # which downscale an image to an eighth
STANDARD: dict[str, Any] = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * STAGES,
    "up_block_types": ["UpDecoderBlock2D"] * STAGES,
    "layers_per_block": 2,
    "latent_channels": CHANNELS,
    "norm_num_groups": 32,
}
"""sd-vae-ft-mse, and every other VAE of Stable Diffusion 1."""

OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Names of attention layers in the published file -> those since diffusers 0.13."""

LOG_VARIANCE = (-30.0, 20.0)  # limits of the posterior's, as in diffusers
CACHE_BYTES = 2**27  # bytes of posteriors: those of 80 s at 256 pixels and 25 fps, masked and whole


def _encoder(vae: Any) -> nn.Module:
    return nn.Sequential(vae.encoder, vae.quant_conv)


def _decoder(vae: Any) -> nn.Module:
    return nn.Sequential(vae.post_quant_conv, vae.decoder)


# Graphs traced with these small examples serve for images of any size.
_IMAGE, _LATENTS = (torch.zeros(1, 3, 64, 64),), (torch.zeros(1, CHANNELS, 8, 8),)
ENCODER = Part("encoder", _encoder, small=_IMAGE)
DECODER = Part("decoder", _decoder, small=_LATENTS)


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Mean and standard deviation for n images, (n, 4, r, r) each."""

    mean: Tensor
    std: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    latent_dist: Posterior


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    sample: Tensor


def _sampled(moments: Tensor) -> Posterior:
    mean, log_variance = moments.chunk(2, dim=1)
    return Posterior(mean, torch.exp(0.5 * log_variance.clamp(*LOG_VARIANCE)))


def _exact(latents: Tensor) -> Posterior:
    return Posterior(latents, torch.zeros_like(latents))


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """What is known of a kind of VAE.

    make: constructs the network, with initial weights. encoder, decoder: its parts. posterior: what
    the encoder returns -> the posterior. latent_scale: see generate.coding.Autoencoder.
    """

    make: Callable[..., Any]
    encoder: Part
    decoder: Part
    posterior: Callable[[Tensor], Posterior]
    latent_scale: float


class VAEInParts:
    """See generate.coding.Autoencoder. networks: of the design's network."""

    def __init__(self, networks: Networks, design: Design | None = None) -> None:
        self._networks, self._design = networks, design or DESIGNS[VAE.key]
        self.latent_scale = self._design.latent_scale
        self._unbatched = networks.execution.backend == "openvino"  # a CPU gains nothing by a batch
        self._known = _PosteriorCache()
        self.device, self.dtype = networks.execution.device, output_dtype(networks.execution)

    def prepare(self, resolution: int, batch: int) -> None:
        """Prepares the parts for images of that side. Raises CheckpointError and ConfigError."""
        count, side = 1 if self._unbatched else batch, resolution // LATENT_STEP
        design = self._design
        self._networks.part(design.encoder, torch.zeros(count, 3, resolution, resolution))
        self._networks.part(design.decoder, torch.zeros(count, CHANNELS, side, side))
        if self._unbatched:
            self._networks.release()

    def encode(self, x: Tensor) -> Encoded:
        """x: (n, 3, R, R) RGB [-1, 1]."""
        if self._unbatched:
            moments = torch.cat([self._moments(image) for image in x.split(1)])
        else:
            moments = self._run(self._design.encoder, x)
        return Encoded(self._design.posterior(moments))

    def decode(self, z: Tensor) -> Decoded:
        """z: (n, 4, r, r) -> (n, 3, R, R) RGB, about [-1, 1]."""
        batches = z.split(1) if self._unbatched else (z,)
        decoder = self._design.decoder
        return Decoded(torch.cat([self._run(decoder, batch) for batch in batches]))

    def _moments(self, image: Tensor) -> Tensor:
        """Cached: frames repeat where a video is extended or a chunk is padded."""
        name = hashlib.blake2b(image.numpy().tobytes(), digest_size=16).digest()
        found = self._known.get(name)
        if found is None:
            found = self._known.put(name, self._run(self._design.encoder, image))
        return found

    def _run(self, part: Part, x: Tensor) -> Tensor:
        return self._networks.part(part, x)(x)[0]


class _PosteriorCache:
    """The latest posteriors by image hash; thread-safe."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Tensor] = OrderedDict()
        self._turn = threading.Lock()

    def get(self, name: bytes) -> Tensor | None:
        with self._turn:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._kept.get(name)

    def put(self, name: bytes, moments: Tensor) -> Tensor:
        with self._turn:
            self._kept[name] = moments
            if len(self._kept) * moments.nbytes > CACHE_BYTES:
                self._kept.popitem(last=False)
        return moments


def load_vae(path: Path, execution: Execution, model: ModelFile = VAE) -> VAEInParts:
    """The VAE with the weights of the file, run by the execution. model: VAE or TAESD.

    A config.json beside the file gives the structure of VAE; without one it is a standard VAE of
    Stable Diffusion 1. The config's scale of latents is ignored, as upstream does: see
    coding.LATENT_SCALE. TAESD has one structure. Raises CheckpointError.
    """
    design = DESIGNS[model.key]
    structure = [_structure(path.with_name(CONFIG_NAME))] if model is VAE else []
    log_weights_used(model, path)
    networks = Networks(
        lambda dtype: build(
            lambda: design.make(*structure),
            model,
            path,
            execution.device,
            dtype=dtype,
            rename=_current_name,
            logged=True,
        ),
        name="VAE" if model is VAE else model.key,
        checkpoint=path,
        execution=execution,
        variant=json.dumps([*structure, version("diffusers")], sort_keys=True),
    )
    return VAEInParts(networks, design)


def read_autoencoder(path: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """diffusers.AutoencoderKL with the weights of the file, frozen, in eval mode: in training
    gradients flow through it. Raises CheckpointError."""
    structure = _structure(path.with_name(CONFIG_NAME))
    return build(lambda: make_vae(structure), VAE, path, device, dtype=dtype, rename=_current_name)


def make_vae(structure: Mapping[str, Any] = STANDARD) -> Any:
    """diffusers.AutoencoderKL with initial weights."""
    from diffusers import AutoencoderKL  # the import takes seconds

    return AutoencoderKL(**structure)


def make_taesd() -> Any:
    """diffusers.AutoencoderTiny with initial weights; its defaults are TAESD's structure."""
    from diffusers import AutoencoderTiny

    return AutoencoderTiny()


DESIGNS = {
    VAE.key: Design(make_vae, ENCODER, DECODER, _sampled, LATENT_SCALE),
    TAESD.key: Design(
        make_taesd,
        Part("encoder", attrgetter("encoder"), small=_IMAGE),
        Part("decoder", attrgetter("decoder"), small=_LATENTS),
        _exact,
        latent_scale=1.0,
    ),
}
"""Key of a model -> its design."""


def _structure(config: Path) -> dict[str, Any]:
    if not config.is_file():
        return STANDARD
    try:
        content = json.loads(config.read_text("utf-8"))
        structure = {key: content.get(key, default) for key, default in STANDARD.items()}
        stages = len(structure["block_out_channels"])
    except (OSError, ValueError, AttributeError, TypeError):
        what = "the VAE's config.json cannot be read"
        raise CheckpointError(what, config, "download it again") from None
    if stages != STAGES or structure["latent_channels"] != CHANNELS:
        found = f"{config}: {stages} stages, {structure['latent_channels']} channels of latents"
        remedy = f"LatentSync needs {STAGES} and {CHANNELS}, as in stabilityai/sd-vae-ft-mse"
        raise CheckpointError("the VAE does not fit", found, remedy)
    return structure


def _current_name(key: str) -> str:
    *parents, part, kind = key.split(".")
    if "attentions" in parents and part in OLD_NAMES:
        return ".".join([*parents, OLD_NAMES[part], kind])
    return key
