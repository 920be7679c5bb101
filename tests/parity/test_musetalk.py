"""MuseTalk 1.5: our audio features, conditions and U-Net give the original's results."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from latentsync.generate.coding import LATENT_SCALE, Autoencoder, decode, encode
from latentsync.generate.musetalk.network import (
    AUDIO,
    STRUCTURE,
    TOKENS,
    OneStep,
    make_unet,
    positional_code,
)
from latentsync.generate.musetalk.one_step import inputs, predict, without_lower_half
from latentsync.speech.encoder import N_CTX, PART, WhisperEncoder
from latentsync.speech.half_minutes import HalfMinuteFeatures, half_minutes
from latentsync.speech.mel import SEGMENT_SAMPLES, log_mel
from latentsync.speech.windows import beyond, indices_at
from tests.parity.filled import autoencoder, filled
from tests.parity.rule import HERE, face, named_normal, published_shapes, weights

KIND = "musetalk"
TOLERANCE = 1e-4
PIXELS = 1e-3  # after the decoder
FORMULA = f"{PART}positional_embedding"  # not filled by the rule of weights


@dataclass(frozen=True)
class Original:
    """What a golden file was made from, and its results."""

    about: dict[str, Any]
    golden: Any
    unet: OneStep
    vae: Autoencoder
    faces: Tensor
    audio: Tensor

    def normal(self, name: str, *shape: int) -> np.ndarray:
        return named_normal(f"{self.about['named_prefix']}.{name}", shape)


@pytest.fixture(scope="module")
def original(golden_file: Path) -> Original:
    about = json.loads(golden_file.with_suffix(".json").read_text())
    prefix, size, count = about["named_prefix"], about["size"], about["frames"]
    levels = [((face(f"{prefix}.face{i}", size) + 1) * 127.5).round() for i in range(count)]
    # diffusers takes the scale as an argument, but does not use it itself.
    vae = autoencoder(AutoencoderKL(**about["vae"]))
    return Original(
        about,
        np.load(golden_file),
        OneStep(filled(make_unet(STRUCTURE | about["unet_config"]))),
        vae,
        torch.cat(levels) / 127.5 - 1,
        torch.from_numpy(named_normal(f"{prefix}.audio", (count, TOKENS, AUDIO))),
    )


def near(made: Tensor, expected: np.ndarray, tolerance: float = TOLERANCE) -> None:
    np.testing.assert_allclose(made.numpy(), expected, rtol=0, atol=tolerance)


def test_the_published_file_s_keys_and_shapes_are_ours() -> None:
    with torch.device("meta"):
        unet = make_unet()
    shapes = {key: tuple(value.shape) for key, value in unet.state_dict().items()}
    published = published_shapes("musetalk_unet")
    assert len(published) == 686
    assert shapes == published
    listed = json.loads((HERE / "keys" / "musetalk_unet_keys.json").read_text())
    assert listed["constructor"] == STRUCTURE


def test_the_faces_are_those_of_the_original(original: Original) -> None:
    levels = ((original.faces + 1) * 127.5).round().to(torch.uint8)
    expected = original.golden["faces_every8"]
    assert np.array_equal(levels[:, :, ::8, ::8].permute(0, 2, 3, 1), expected)


def test_the_lower_half_is_black(original: Original) -> None:
    upper = without_lower_half(original.faces[:1])[0, :, ::8, ::8]
    near(upper, original.golden["masked_pixels_every8"], 1e-6)


def test_the_latents_of_masked_face_and_reference_are_the_original_s(original: Original) -> None:
    references = encode(original.vae, original.faces)
    made = inputs(original.vae, original.faces, references)
    near(made, original.golden["latents_mode"])


def test_latents_are_sampled_as_the_original_samples_them(original: Original) -> None:
    count, side = len(original.faces), original.faces.shape[-1] // 8
    g = torch.Generator().manual_seed(original.about["seed"])
    draws = torch.cat(
        [torch.randn(1, 4, side, side, generator=g) for _ in range(2 * count)]
    )  # by face: masked, then whole
    masked = encode(original.vae, without_lower_half(original.faces), draws[::2])
    whole = encode(original.vae, original.faces, draws[1::2])
    near(torch.cat([masked, whole], dim=1), original.golden["latents_sampled"])


def test_the_positional_code_is_the_original_s(original: Original) -> None:
    near(positional_code(), original.golden["pe"], 1e-5)
    near(positional_code(5000)[[100, 4999]], original.golden["pe_rows_100_4999"], 1e-5)
    coded = (original.audio + positional_code())[:, ::7, ::16]
    near(coded, original.golden["condition_every7_16"], 1e-5)


@pytest.mark.parametrize("kind", ["mode", "sampled"])
def test_the_u_net_predicts_what_the_original_predicts(original: Original, kind: str) -> None:
    latents = torch.from_numpy(original.golden[f"latents_{kind}"])
    predicted = predict(original.unet, latents, original.audio)
    near(predicted, original.golden[f"pred_{kind}"])


@pytest.mark.parametrize("kind", ["mode", "sampled"])
def test_the_decoded_faces_are_the_original_s(original: Original, kind: str) -> None:
    made = decode(original.vae, torch.from_numpy(original.golden[f"pred_{kind}"]))
    near(made[:, :, ::4, ::4], original.golden[f"decoded_{kind}_every4"], PIXELS)
    assert original.about["scaling_factor"] == LATENT_SCALE


def rates(original: Original) -> list[int]:
    """Frame rates at which the original has the windows of its training, as we have at all."""
    found = [fps for fps in original.about["fps"] if 25 <= fps < 50]
    assert found
    return found


def test_every_frame_has_the_original_s_audio_window(original: Original) -> None:
    length = original.about["samples"] // 320
    for fps in rates(original):
        seconds = original.golden[f"window_rows_{fps}"] / fps
        indices = np.where(beyond(seconds, length), -1, indices_at(seconds, length))
        assert np.array_equal(indices, original.golden[f"window_indices_{fps}"])


def test_windows_hold_the_original_s_tokens(original: Original) -> None:
    count = original.about["samples"]
    numbers = range(-(-count // SEGMENT_SAMPLES))
    pieces = [original.normal(f"whisper{k}", N_CTX, 5, AUDIO) for k in numbers]
    for fps in rates(original):
        given = (torch.from_numpy(one)[None] for one in pieces)
        speech = HalfMinuteFeatures([np.zeros(count, np.float32)], lambda _mel, g=given: next(g))
        rows = original.golden[f"prompt_rows_{fps}"]
        made = torch.stack(list(speech.windows_at(rows / fps)))[:, ::7, ::16]
        near(made, original.golden[f"prompts_{fps}_every7_16"], 0)


@pytest.fixture(scope="module")
def wave(original: Original) -> np.ndarray:
    about = original.about["whisper"]
    count = about["samples"]
    t = np.arange(count) / 16000
    loud = (0.1 * original.normal("wave", count)) * (0.05 + np.abs(np.sin(2 * np.pi * 1.5 * t)))
    return (loud * np.where(t < 30, 1, about["gain_after_30s"])).astype(np.float32)


def test_the_last_hidden_state_is_normed_and_each_half_minute_encoded_by_itself(
    original: Original, wave: np.ndarray
) -> None:
    about, golden = original.about["whisper"], original.golden
    names = {"n_state", "n_head", "n_layer"}
    encoder = WhisperEncoder(normed=True, **{name: about[name] for name in names})
    state = encoder.state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items() if key != FORMULA}
    encoder.load_state_dict({**weights(shapes), FORMULA: state[FORMULA]})
    speech = HalfMinuteFeatures(np.array_split(wave, 7), encoder.eval())
    features = torch.cat(list(speech.segments()))
    assert len(features) == len(speech) == golden["whisper_num"]
    first, after = golden["whisper_rows"]
    near(features[first:after], golden["whisper_features"])


def test_the_audio_is_padded_before_its_spectrogram_is_computed(
    original: Original, wave: np.ndarray
) -> None:
    first, after = original.golden["whisper_rows"]
    whole = torch.cat(
        [
            log_mel(np.pad(one, (0, SEGMENT_SAMPLES - len(one))))
            for one in half_minutes(np.array_split(wave, 7))
        ],
        dim=1,
    )
    near(whole[:, 2 * first : 2 * after + 40 : 4], original.golden["whisper_mel_every4"])
