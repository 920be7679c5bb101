"""latentsync.speech: from samples to the features of each video frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from latentsync.errors import CheckpointError
from latentsync.speech import mel
from latentsync.speech.encoder import ENCODERS, PART, WhisperEncoder, small, tiny
from latentsync.speech.features import SpeechFeatures
from latentsync.speech.mel import log_mel, measure, mel_filters, padded, segments
from latentsync.speech.windows import (
    frame_count,
)
from latentsync.weights.load import build, read_state_dict
from latentsync.weights.manifest import GFPGAN

CPU = torch.device("cpu")
SEGMENT = mel.SEGMENT_SAMPLES


def noise(count: int, *, level: float = 0.1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal(count)).astype(np.float32)


def split(samples: np.ndarray, *at: int) -> list[np.ndarray]:
    return np.split(samples, sorted(at))


def joined(parts: Iterator[Tensor], dim: int = 0) -> Tensor:
    return torch.cat(list(parts), dim)


def plain_log_mel(samples: np.ndarray) -> Tensor:
    """The definition, written down for all samples at once."""
    spectrum = torch.stft(
        torch.from_numpy(samples), 400, 160, window=torch.hann_window(400), return_complex=True
    )
    energies = (mel_filters() @ spectrum[:, :-1].abs() ** 2).clamp(min=1e-10).log10()
    return (torch.maximum(energies, energies.max() - 8) + 4) / 4


@pytest.fixture(scope="module")
def encoder() -> WhisperEncoder:
    torch.manual_seed(0)
    return WhisperEncoder(n_state=16, n_head=2, n_layer=2).eval()


# --- log-mel ---


def test_the_filters_are_slaneys() -> None:
    filters = mel_filters()
    assert filters.shape == (80, 201) and filters.dtype == torch.float32
    assert filters[0, :3].tolist() == pytest.approx([0, 0.02486259, 0], abs=1e-8)
    areas = filters.sum(dim=1) * 40  # Hz from one line of the spectrum to the next
    torch.testing.assert_close(areas[60:], torch.ones(20), rtol=0.02, atol=0)
    assert (filters.argmax(dim=1).diff() >= 0).all()


@pytest.mark.parametrize("hertz", [200, 1000, 4000])
def test_a_tone_is_loudest_in_its_own_filter(hertz: int) -> None:
    tone = np.sin(np.arange(16000) * 2 * np.pi * hertz / 16000).astype(np.float32)
    loudest = log_mel(tone)[:, 20:-20].mean(dim=1).argmax()
    assert mel_filters()[loudest].argmax() * 40 == pytest.approx(hertz, rel=0.1)


LENGTHS = (320, 399, 479, 480, 16000, *(SEGMENT + n for n in (-241, -160, -1, 0, 1, 159, 160, 400)))


@pytest.mark.parametrize("count", LENGTHS)
def test_the_spectrogram_in_parts_is_the_spectrogram_of_the_whole(count: int) -> None:
    samples = noise(count)
    blocks = split(samples, count // 3, count - 90)
    parts = list(segments(blocks, measure(blocks)))
    assert [part.shape[1] for part in parts[:-1]] == [3000] * (len(parts) - 1)
    assert 0 < parts[-1].shape[1] <= 3000
    spectrogram = torch.cat(parts, dim=1)
    assert spectrogram.shape == (80, count // 160)
    torch.testing.assert_close(spectrogram, plain_log_mel(samples), rtol=0, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(320, 4000), st.lists(st.integers(0, 4000), max_size=6))
def test_blocks_of_any_size_give_the_same_bits(count: int, cuts: list[int]) -> None:
    samples = noise(count)
    blocks = split(samples, *(min(cut, count) for cut in cuts))
    assert torch.equal(joined(segments(blocks, measure(blocks)), 1), log_mel(samples))


def test_the_loudest_point_of_the_whole_recording_sets_the_floor() -> None:
    samples = noise(SEGMENT + 16000, level=1e-5)
    quiet = next(segments([samples], measure([samples])))
    samples[-8000:] = 1.0
    assert measure([samples]).peak > 1
    assert next(segments([samples], measure([samples]))).min() > quiet.min() + 0.5


def test_silence_is_flat() -> None:
    torch.testing.assert_close(log_mel(np.zeros(1600, np.float32)), torch.full((80, 10), -1.5))


def test_the_spectrogram_is_padded_with_zeros() -> None:
    full = padded(torch.ones(80, 7))
    assert full.shape == (80, 3000)
    assert full[:, :7].min() == 1 and not full[:, 7:].any()


@pytest.mark.parametrize("count", [1, 100, 319, 320])
def test_the_shortest_audio_makes_one_feature(encoder: WhisperEncoder, count: int) -> None:
    speech = SpeechFeatures([noise(count)], encoder)
    assert len(speech) == 1
    assert torch.stack(list(speech.windows(25))).shape == (2, 30, 16)


def test_no_samples_at_all_are_refused() -> None:
    for blocks in ([], [np.empty(0, np.float32)]):
        with pytest.raises(ValueError, match="without a single sample"):
            measure(blocks)


# --- encoder ---


def test_all_hidden_states_are_collected() -> None:
    with torch.device("meta"):
        spectrogram = torch.empty(1, 80, 3000)
        assert tiny()(spectrogram).shape == (1, 1500, 5, 384)
        assert small()(spectrogram).shape == (1, 1500, 13, 768)
    assert (ENCODERS[384], ENCODERS[768]) == (tiny, small)


def test_the_first_state_holds_the_positions_and_the_last_one_no_norm(
    encoder: WhisperEncoder,
) -> None:
    spectrogram = torch.randn(1, 80, 3000, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        states = encoder(spectrogram)[0]
        body = encoder.encoder
        stem = torch.nn.functional.gelu(body.conv1(spectrogram))
        stem = torch.nn.functional.gelu(body.conv2(stem))[0].T
        last = body.blocks[1](states[None, :, 1])[0]
    torch.testing.assert_close(states[:, 0] - stem, body.positional_embedding)
    torch.testing.assert_close(states[:, 2], last)


def test_another_spectrogram_size_is_refused(encoder: WhisperEncoder) -> None:
    with pytest.raises(ValueError, match=r"\(B, 80, 3000\), not \(1, 80, 2999\)"):
        encoder(torch.zeros(1, 80, 2999))


def official_layout(encoder: WhisperEncoder, path: Path) -> Path:
    """In the published layout: half precision, with the decoder."""
    state = {key: value.half() for key, value in encoder.state_dict().items()}
    state["decoder.token_embedding.weight"] = torch.zeros(3, 16).half()
    torch.save({"dims": {"n_mels": 80}, "model_state_dict": state}, path)
    return path


def bare_encoder() -> WhisperEncoder:
    return WhisperEncoder(n_state=16, n_head=2, n_layer=2)


def test_the_encoder_is_taken_out_of_a_published_file(
    encoder: WhisperEncoder, tmp_path: Path
) -> None:
    path = official_layout(encoder, tmp_path / "tiny.pt")
    loaded = build(bare_encoder, GFPGAN, path, CPU, part=PART)
    for key, value in loaded.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, encoder.state_dict()[key].half().float()), key
    assert set(read_state_dict(path)) - set(loaded.state_dict()) == {
        "decoder.token_embedding.weight"
    }


def test_a_file_of_another_size_is_refused(encoder: WhisperEncoder, tmp_path: Path) -> None:
    path = official_layout(encoder, tmp_path / "tiny.pt")
    with pytest.raises(CheckpointError, match=r"encoder.conv1.weight \(16, 80, 3\), not \(384"):
        build(tiny, GFPGAN, path, CPU, part=PART)


def test_a_file_with_nothing_but_other_parts_is_refused(tmp_path: Path) -> None:
    torch.save({"decoder.ln.weight": torch.ones(4)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"missing: encoder\."):
        build(bare_encoder, GFPGAN, tmp_path / "other.pt", CPU, part=PART)


# --- features of a whole recording ---


class Recording:
    """Blocks of a second; can be read twice, and counts the blocks of the current pass."""

    def __init__(self, seconds: int) -> None:
        self.seconds, self.read = seconds, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for second in range(self.seconds):
            self.read = second + 1
            yield noise(16000, seed=second)


def test_a_part_of_the_video_gets_the_features_of_the_whole(encoder: WhisperEncoder) -> None:
    speech = SpeechFeatures(Recording(65), encoder)
    whole = list(speech.windows(25))
    assert len(whole) == frame_count(65 * 50, 25)
    for start, stop in ((0, 3), (740, 760), (1600, None)):
        piece = torch.stack(list(speech.windows(25, start=start, stop=stop)))
        assert torch.equal(piece, torch.stack(whole[start:stop]))


@pytest.mark.parametrize("seconds", [0.99, 30, 30.01, 30.02, 31.5])
def test_there_is_a_feature_for_every_two_frames_of_the_spectrogram(
    encoder: WhisperEncoder, seconds: float
) -> None:
    speech = SpeechFeatures([noise(round(seconds * 16000))], encoder)
    lengths = [len(segment) for segment in speech.segments()]
    assert sum(lengths) == len(speech) == round(seconds * 100) // 2
    assert lengths[:-1] == [1500] * (len(lengths) - 1)


def test_only_needed_segments_are_encoded(encoder: WhisperEncoder) -> None:
    speech = SpeechFeatures(Recording(95), encoder)
    encoded: list[int] = []
    hook = encoder.register_forward_hook(lambda *_: encoded.append(1))
    windows_of_a_second = list(speech.windows(25, start=1000, stop=1025))
    hook.remove()
    assert (len(windows_of_a_second), len(encoded)) == (25, 1)


def test_audio_is_not_read_further_than_it_is_needed(encoder: WhisperEncoder) -> None:
    recording = Recording(200)
    speech = SpeechFeatures(recording, encoder)
    assert recording.read == 200, "the loudest point is known only at the end"
    next(speech.windows(25))
    assert recording.read <= 31


def test_the_extent_of_a_plan_saves_the_first_pass(encoder: WhisperEncoder) -> None:
    recording = Recording(3)
    extent = measure(recording)
    recording.read = 0
    speech = SpeechFeatures(recording, encoder, extent=extent)
    assert (recording.read, len(speech)) == (0, 150)
    expected = joined(SpeechFeatures(recording, encoder).segments())
    assert torch.equal(joined(speech.segments()), expected)


def test_features_carry_no_gradient(encoder: WhisperEncoder) -> None:
    assert not next(SpeechFeatures(Recording(1), encoder).segments()).requires_grad
