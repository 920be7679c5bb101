"""Samples of both trainings: the same for the same seed, epoch and index; bad clips are said."""

from __future__ import annotations

import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from latentsync.errors import ConfigError, MediaError
from latentsync.speech.sync_mel import sync_mel
from latentsync.training.data.cache import ArrayCache
from latentsync.training.data.clip import read_samples
from latentsync.training.data.datasets import SyncNetDataset, UNetDataset
from latentsync.training.data.listing import expanded, find_clips
from latentsync.training.data.windows import mel_start
from latentsync.training.settings.load import load_syncnet_training, load_unet_training
from latentsync.training.settings.schema import SyncNetTraining, UNetTraining
from tests.support.clips import SIDE, make_clip, make_clips, numbers
from tests.support.media_factory import make_video


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    make_clips(folder)
    return folder


def settings_of(folder: Path, tmp_path: Path, *more: str) -> UNetTraining:
    path = tmp_path / "unet.yaml"
    path.write_text(
        f"data: {{train_data_dir: {folder}, resolution: {SIDE}, speech_features: mel}}\n"
        "model: {cross_attention_dim: 80}\n"
    )
    return load_unet_training(path, [f"training.cache_dir={tmp_path / 'cache'}", *more])


def syncnet_settings(folder: Path, tmp_path: Path, *more: str) -> SyncNetTraining:
    path = tmp_path / "syncnet.yaml"
    path.write_text(f"data: {{train_data_dir: {folder}, resolution: {SIDE}}}\n")
    return load_syncnet_training(path, [f"training.cache_dir={tmp_path / 'cache'}", *more])


def equal(one: Any, other: Any) -> bool:
    names = [name for name in type(one).__slots__ if name not in ("clips", "clip", "notes")]
    return one.clips == other.clips and all(
        torch.equal(getattr(one, name), getattr(other, name)) for name in names
    )


def test_a_sample_is_frames_a_reference_apart_and_their_audio(clips: Path, tmp_path: Path) -> None:
    data = UNetDataset(settings_of(clips, tmp_path))
    for index in range(len(data)):
        sample = data[index]
        shown, reference = numbers(sample.faces.numpy()), numbers(sample.reference.numpy())
        assert shown == list(range(shown[0], shown[0] + 16))
        assert abs(reference[0] - shown[0]) >= 16
        assert sample.faces.dtype == torch.float32 and sample.faces.abs().max() <= 1
        mel = sync_mel(read_samples(Path(sample.clip)))
        assert sample.mel is not None
        first = mel_start(shown[0])
        assert np.array_equal(sample.mel[0].numpy(), mel[:, first : first + 52])
        assert sample.audio.shape == (16, 16, 80)


def test_a_batch_has_the_shapes_that_the_steps_take(clips: Path, tmp_path: Path) -> None:
    data = UNetDataset(settings_of(clips, tmp_path))
    batch = data.collate([data[0], data[1]])
    assert batch.faces.shape == batch.reference.shape == (2, 16, 3, SIDE, SIDE)
    assert batch.mel is not None and batch.mel.shape == (2, 1, 80, 52)
    assert batch.seeds.dtype == torch.int64 and len(set(batch.seeds.tolist())) == 2
    without = UNetDataset(settings_of(clips, tmp_path, "run.use_syncnet=false"))
    assert without.collate([without[0]]).mel is None


def test_samples_depend_on_seed_epoch_and_index_only(clips: Path, tmp_path: Path) -> None:
    settings = settings_of(clips, tmp_path)
    data, again = UNetDataset(settings), UNetDataset(settings)
    first = [data.collate([data[index]]) for index in range(3)]
    backwards = [again.collate([again[index]]) for index in (2, 1, 0)][::-1]
    assert all(map(equal, first, backwards))
    assert sorted(one.clips for one in first) == sorted((str(path),) for path in clips.iterdir())
    later = data.collate([data[4]])  # counts on into the next epoch
    data.set_epoch(1)
    assert equal(later, data.collate([data[1]]))
    assert not equal(first[1], data.collate([data[1]]))
    other = UNetDataset(settings_of(clips, tmp_path, "run.seed=7"))
    assert other[0].seed != first[0].seeds[0]


def test_workers_give_the_same_samples(clips: Path, tmp_path: Path) -> None:
    data = UNetDataset(settings_of(clips, tmp_path, "data.samples_per_clip=2"))
    alone = [data.collate([data[index], data[index + 1]]) for index in (0, 2, 4)]
    loader = DataLoader(data, 2, num_workers=2, collate_fn=data.collate)
    assert all(map(equal, alone, loader))
    elsewhere = pickle.loads(pickle.dumps(data))  # as workers get it that are spawned
    assert equal(alone[1], data.collate([elsewhere[2], elsewhere[3]]))


def test_a_pair_is_in_sync_or_another_part_of_the_same_clip(clips: Path, tmp_path: Path) -> None:
    data = SyncNetDataset(syncnet_settings(clips, tmp_path, "data.samples_per_clip=14"))
    found = [data[index] for index in range(len(data))]
    assert 10 < sum(one.in_sync for one in found) < 32  # of 42
    for one in found:
        start = numbers(one.faces.numpy())[0]
        mel = sync_mel(read_samples(Path(one.clip)))
        first = mel_start(start)
        same = np.array_equal(one.mel[0].numpy(), mel[:, first : first + 52])
        assert same is bool(one.in_sync)
    batch = data.collate(found[:4])
    assert batch.faces.shape == (4, 16, 3, SIDE, SIDE) and batch.mel.shape == (4, 1, 80, 52)
    assert batch.in_sync.dtype == torch.float32


def test_validation_takes_as_many_pairs_of_its_own_clips_as_are_wanted(
    clips: Path, tmp_path: Path
) -> None:
    more = f"data.val_data_dir={clips}", "data.num_val_samples=8"
    data = SyncNetDataset(syncnet_settings(clips, tmp_path, *more), validation=True)
    assert len(data) == 8
    with pytest.raises(ConfigError, match="val_fileslist"):
        SyncNetDataset(syncnet_settings(clips, tmp_path), validation=True)


def test_unusable_clips_are_left_out_by_name_and_too_many_end_the_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    make_clips(folder, 2)
    make_clip(folder / "brief.mp4", 20)
    make_video(folder / "mute.mp4")
    (folder / "text.mp4").write_text("none")
    with pytest.raises(MediaError, match="2 of 5 clips") as error:
        UNetDataset(settings_of(folder, tmp_path))
    assert "mute.mp4: it has no audio" in str(error.value)
    data = UNetDataset(settings_of(folder, tmp_path, "training.max_bad_share=0.5"))
    assert len(data) == 2
    for name in ("mute.mp4", "text.mp4", "brief.mp4"):
        assert name in caplog.text
    assert "2 left out because" in str(data.survey)


def test_a_clip_that_becomes_unreadable_is_said_and_only_so_often(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    first, second = make_clips(folder, 2)
    data = UNetDataset(settings_of(folder, tmp_path, "training.max_bad_share=0.1"))
    first.unlink()  # after it was looked at
    batches = [data.collate([data[index]]) for index in range(4)]
    assert {name for one in batches for name in one.clips} == {str(second)}
    notes = [note for one in batches for note in one.notes]
    assert notes and all(str(first) in note and "No such file" in note for note in notes)
    with pytest.raises(MediaError, match="clips cannot be read"):
        for index in range(100):
            data[index]
    strict = UNetDataset(settings_of(folder, tmp_path))
    second.unlink()
    with pytest.raises(MediaError):
        for index in range(30):
            strict[index]


def test_caches_go_by_content_and_survive_damage(clips: Path, tmp_path: Path) -> None:
    cache, calls = ArrayCache(tmp_path / "mel"), []

    def compute() -> np.ndarray:
        calls.append(1)
        return np.arange(6.0).reshape(2, 3)

    one, other = clips / "clip0.mp4", clips / "clip1.mp4"
    moved = tmp_path / "renamed.mp4"
    moved.write_bytes(one.read_bytes())
    assert cache.get(one, compute).tolist() == cache.get(moved, compute).tolist()
    assert len(calls) == 1
    cache.get(other, compute)
    assert len(calls) == 2
    (stored,) = [p for p in (tmp_path / "mel").rglob("*.npy") if p.stem == _name(cache, one)]
    stored.write_bytes(stored.read_bytes()[:40])  # as after a power failure
    assert cache.get(one, compute).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert len(calls) == 3
    changed = tmp_path / "renamed.mp4"
    changed.write_bytes(other.read_bytes())
    cache.get(changed, compute)
    assert len(calls) == 3  # known under the other's content


def _name(cache: ArrayCache, clip: Path) -> str:
    return cache._path(clip).stem


def test_a_cache_that_cannot_be_written_is_said(clips: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigError, match="cache"):
        ArrayCache(blocked).get(clips / "clip0.mp4", lambda: np.zeros(1))


def test_a_list_names_clips_relative_to_itself(clips: Path, tmp_path: Path) -> None:
    names = clips / "list.txt"
    names.write_text(f"clip1.mp4\n\n{clips / 'clip0.mp4'}\n")
    found = [clip.path.name for clip in find_clips(str(names), "")]
    names.unlink()
    assert found == ["clip1.mp4", "clip0.mp4"]
    names = tmp_path / "list.txt"
    names.write_text("gone.mp4\n")
    with pytest.raises(ConfigError, match="gone"):
        find_clips(str(names), "")
    for list_file, folder in (("", ""), ("none.txt", ""), ("", "none"), ("", str(tmp_path))):
        with pytest.raises(ConfigError):
            find_clips(list_file, folder)


def test_shards_of_webdataset_are_clips_like_others(clips: Path, tmp_path: Path) -> None:
    import webdataset

    shards = tmp_path / "shards"
    shards.mkdir()
    for number in range(2):
        with webdataset.TarWriter(str(shards / f"{number:03}.tar")) as shard:
            for n in range(number, number + 2):
                content = (clips / f"clip{n}.mp4").read_bytes()
                shard.write({"__key__": f"c{n}", "mp4": content, "json": json.dumps({}).encode()})
    plain = settings_of(clips, tmp_path, "data.train_fileslist=" + str(tmp_path / "all.txt"))
    (tmp_path / "all.txt").write_text("\n".join(str(clips / f"clip{n}.mp4") for n in (0, 1, 1, 2)))
    sharded = settings_of(clips, tmp_path, f"data.train_fileslist='{shards}/{{000..001}}.tar'")
    one, other = UNetDataset(plain), UNetDataset(sharded)
    assert other.survey.usable[0].clip.name == "000.tar:c0.mp4"
    for index in range(4):
        assert torch.equal(one[index].faces, other[index].faces)
        assert torch.equal(one[index].audio, other[index].audio)
    assert len(find_clips("", str(shards))) == 4


def test_a_shard_that_is_cut_off_or_none_is_said(clips: Path, tmp_path: Path) -> None:
    shard = tmp_path / "0.tar"
    with tarfile.open(shard, "w") as archive:
        archive.add(clips / "clip0.mp4", "clip0.mp4")
    shard.write_bytes(shard.read_bytes()[:3000])
    with pytest.raises(MediaError, match="shard"):
        find_clips(str(shard), "")
    shard.write_bytes(b"no archive" * 100)
    with pytest.raises(MediaError, match="shard"):
        find_clips(str(shard), "")


def test_braces_stand_for_several_names() -> None:
    assert expanded("a-{008..010}.tar") == ["a-008.tar", "a-009.tar", "a-010.tar"]
    assert expanded("{a,b}{0..1}") == ["a0", "a1", "b0", "b1"]
    assert expanded("plain.mp4") == ["plain.mp4"]
