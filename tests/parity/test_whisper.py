"""Our speech features are those of LatentSync, to within rounding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from latentsync.runtime import openvino
from latentsync.runtime.execution import REFERENCE
from latentsync.speech.encoder import PART, WhisperEncoder, tiny
from latentsync.speech.features import Encoder, SpeechFeatures
from latentsync.speech.mel import N_MELS, SEGMENT_FRAMES
from latentsync.speech.windows import frame_count, window_indices, windows
from tests.parity.rule import weights

KIND = "whisper"
TOLERANCE = 1e-4  # on features up to 7; 1e-5 is seen, from another order of sums
HEADS = 6
FPS = 25
FORMULA = f"{PART}positional_embedding"  # not filled by the rule of weights
SEAM = slice(1480, 1550)  # rows that the golden file holds of 31 s: 20 before the 30 s seam


def encoder_of(golden: np.lib.npyio.NpzFile) -> WhisperEncoder:
    layers = golden["features_1s"].shape[1] - 1
    encoder = WhisperEncoder(n_state=int(golden["n_audio_state"]), n_head=HEADS, n_layer=layers)
    shapes = {key: tuple(value.shape) for key, value in encoder.state_dict().items()}
    filled = weights({key: shape for key, shape in shapes.items() if key != FORMULA})
    encoder.load_state_dict({**filled, FORMULA: encoder.state_dict()[FORMULA]})
    return encoder.eval()


def features_of(
    golden: np.lib.npyio.NpzFile, samples: np.ndarray, encoder: Encoder | None = None
) -> SpeechFeatures:
    return SpeechFeatures(np.array_split(samples, 7), encoder or encoder_of(golden))


def long_audio(golden: np.lib.npyio.NpzFile) -> np.ndarray:
    return golden["wave_31s"] / np.float32(32767)


def test_features_of_a_second_equal_upstreams(golden_file: Path) -> None:
    with np.load(golden_file) as golden:
        features = torch.cat(list(features_of(golden, golden["wave_1s"]).segments()))
        np.testing.assert_allclose(features, golden["features_1s"], rtol=0, atol=TOLERANCE)


def test_openvino_gives_the_same_features_in_float32(golden_file: Path) -> None:
    with np.load(golden_file) as golden:
        mel = torch.zeros(1, N_MELS, SEGMENT_FRAMES)
        model = openvino.convert(encoder_of(golden), [mel])
        execution = replace(REFERENCE, backend="openvino", threads=1)
        graph = openvino.Graph(model, [mel], execution, torch.float32)
        speech = features_of(golden, golden["wave_1s"], lambda mel: graph(mel)[0])
        features = torch.cat(list(speech.segments()))
        np.testing.assert_allclose(features, golden["features_1s"], rtol=0, atol=TOLERANCE)


def test_features_across_the_seam_of_two_segments_equal_upstreams(golden_file: Path) -> None:
    with np.load(golden_file) as golden:
        speech = features_of(golden, long_audio(golden))
        features = torch.cat(list(speech.segments()))
        assert len(features) == len(speech) == 1550
        np.testing.assert_allclose(
            features[SEAM], golden["features_31s_rows"], rtol=0, atol=TOLERANCE
        )


def test_every_frame_has_upstreams_audio_window(golden_file: Path) -> None:
    with np.load(golden_file) as golden:
        features = torch.from_numpy(golden["features_1s"])
        indices = window_indices(len(features), FPS)
        np.testing.assert_array_equal(indices, golden["window_indices_1s"])
        np.testing.assert_array_equal(windows(features, indices), golden["windows_1s"])


def test_the_windows_of_speech_equal_upstreams(golden_file: Path) -> None:
    with np.load(golden_file) as golden:
        computed = torch.stack(list(features_of(golden, golden["wave_1s"]).windows(FPS)))
        np.testing.assert_allclose(computed, golden["windows_1s"], rtol=0, atol=TOLERANCE)


def test_there_are_as_many_windows_as_upstream_makes(golden_file: Path) -> None:
    with np.load(golden_file) as golden:
        speech = features_of(golden, long_audio(golden))
        assert frame_count(len(speech), FPS) == golden["num_windows_31s"]


def test_keys_are_those_of_the_published_file() -> None:
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in tiny().state_dict().items()}
    block = {
        **{f"attn.{name}.weight": (384, 384) for name in ("query", "key", "value", "out")},
        **{f"attn.{name}.bias": (384,) for name in ("query", "value", "out")},
        **{f"{norm}.weight": (384,) for norm in ("attn_ln", "mlp_ln")},
        **{f"{norm}.bias": (384,) for norm in ("attn_ln", "mlp_ln")},
        "mlp.0.weight": (1536, 384),
        "mlp.0.bias": (1536,),
        "mlp.2.weight": (384, 1536),
        "mlp.2.bias": (384,),
    }
    below = {
        "positional_embedding": (1500, 384),
        "conv1.weight": (384, 80, 3),
        "conv1.bias": (384,),
        "conv2.weight": (384, 384, 3),
        "conv2.bias": (384,),
        "ln_post.weight": (384,),
        "ln_post.bias": (384,),
        **{f"blocks.{n}.{key}": shape for n in range(4) for key, shape in block.items()},
    }
    assert len(shapes) == 67
    assert shapes == {PART + key: shape for key, shape in below.items()}
