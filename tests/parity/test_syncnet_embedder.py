"""SyncNet as the judge runs it, on RGB crops and in blocks, gives the original's embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentsync.evaluate.sync.networks import SyncNetEmbedder
from latentsync.models.syncnet import CEPSTRA_PER_FRAME, FRAMES, SyncNet
from latentsync.runtime.execution import REFERENCE
from latentsync.speech.mfcc import mfcc_of_blocks
from tests.parity.filled import filled

KIND = "syncnet_eval"
RELATIVE = 1e-4
WINDOWS = 2


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> SyncNetEmbedder:
    with torch.device("meta"):
        network = SyncNet()
    path = tmp_path_factory.mktemp("weights") / "syncnet_v2.model"
    torch.save(filled(network).state_dict(), path)
    return SyncNetEmbedder(path, REFERENCE)


def test_rgb_crops_and_the_audio_s_cepstra_give_the_original_s_embeddings(
    golden_file: Path, embedder: SyncNetEmbedder
) -> None:
    with np.load(golden_file) as golden:
        frames, wave = golden["frames28"], golden["wave"]
        lips, audio = golden["lip_embed"][:WINDOWS], golden["audio_embed"][:WINDOWS]
    crops = frames[: WINDOWS + FRAMES - 1].repeat(8, axis=1).repeat(8, axis=2)
    equals(embedder.lips(crops[..., ::-1]), lips)  # the golden ones are BGR
    cepstra = mfcc_of_blocks(np.array_split(wave / np.float32(32768), 3))
    equals(embedder.audio(cepstra[: CEPSTRA_PER_FRAME * (WINDOWS + FRAMES - 1)]), audio)


def equals(computed: np.ndarray, wanted: np.ndarray) -> None:
    allowed = RELATIVE * np.abs(wanted).max()
    np.testing.assert_allclose(computed, wanted, rtol=0, atol=allowed)
