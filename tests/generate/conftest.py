"""A tiny LatentSync, loaded in many ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from latentsync.errors import LatentSyncError
from latentsync.generate.base import GenerationRequest, LipGenerator
from latentsync.generate.coding import never
from latentsync.generate.diffusion import generator as latentsync
from latentsync.generate.diffusion.generator import LatentSync
from latentsync.generate.table import load_generator
from latentsync.runtime.execution import REFERENCE
from latentsync.settings.schema import Config, GenerateConfig
from latentsync.types import Chunk
from tests.support.tiny_latentsync import RESOLUTION, write_tiny_model

FRAMES = 3

Load = Callable[..., LatentSync]


@pytest.fixture(scope="module")
def sections(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def configured(sections: dict[str, dict[str, Any]]) -> Callable[..., Config]:
    """The tiny model's configuration; settings of `generate` by name, other sections whole."""

    def configure(
        data: Any = None, model: Any = None, compat: Any = None, **changes: Any
    ) -> Config:
        return Config(
            compat=compat,
            data=sections["data"] if data is None else data,
            model=sections["model"] if model is None else model,
            generate=GenerateConfig(**(sections["generate"] | changes)),
        )

    return configure


@pytest.fixture(scope="module")
def loaded_once() -> Iterator[None]:
    """Loads the networks of a file once for each way to run them: it takes most of a test's time.
    What loading does is shown in test_generator_files.py."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ("load_unet", "load_vae"):
            patched.setattr(latentsync, name, once(getattr(latentsync, name)))
        yield


def once(load: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[str, Any] = {}

    def loaded(*given: Any) -> Any:
        key = repr(given)
        if key not in known:
            known[key] = load(*given)
        return known[key]

    return loaded


@pytest.fixture
def load(configured: Callable[..., Config], mask: np.ndarray) -> Load:
    def load_it(
        lengths: Any = None, dtype: torch.dtype = torch.float32, **settings: Any
    ) -> LatentSync:
        """lengths: None: as it is loaded, else prepared for a video of such chunks."""
        execution = replace(REFERENCE, dtype=dtype)
        generator = latentsync.load(configured(**settings), execution, mask=mask)
        return generator if lengths is None else generator.prepare(request(lengths))

    return load_it


def request(lengths: Sequence[int], check: Callable[[], None] = never) -> GenerationRequest:
    """For a video of which nothing is known but its chunks."""
    nothing: Any = None
    return GenerationRequest(*(nothing,) * 6, lengths=lengths, speech=None, check=check)


@pytest.fixture(scope="module")
def plain(sections: dict[str, dict[str, Any]], mask: np.ndarray) -> LipGenerator:
    """With the tiny model's own settings."""
    settings = GenerateConfig(**sections["generate"])
    config = Config(data=sections["data"], model=sections["model"], generate=settings)
    return load_generator(config, REFERENCE, mask=mask)


@pytest.fixture(scope="module")
def plain_chunk(plain: LipGenerator) -> Tensor:
    return plain(chunk())


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    mask = np.zeros((RESOLUTION, RESOLUTION), np.float32)
    mask[24:56, 8:56] = 1
    mask[23, 8:56] = 0.25
    return mask


def chunk(index: int = 0, frames: int = FRAMES) -> Chunk:
    g = torch.Generator().manual_seed(index)
    crops = torch.rand(frames, 3, RESOLUTION, RESOLUTION, generator=g) * 2 - 1
    return Chunk(index, crops, torch.randn(frames, 50, 384, generator=g))


def refusal(act: Callable[[], object], kind: type[LatentSyncError]) -> str:
    with pytest.raises(kind) as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    return message
