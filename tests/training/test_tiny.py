"""What a training is tried out with: pixels in place of the VAE, and pictures of its result."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from latentsync.generate.coding import decode, encode
from latentsync.models.unet import UNet3DConditionModel
from latentsync.training.batch import UNetBatch
from latentsync.training.preview import Preview, generated
from latentsync.training.settings.load import load_unet_training
from latentsync.training.tiny import PixelVae

TINY = Path(__file__).parents[2] / "configs" / "training" / "tiny.yaml"
SIDE = 64


def pictures(count: int, seed: int = 0) -> torch.Tensor:
    """(count, 3, 64, 64): smooth and grey, with a bright spot."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 1, 4, 4, generator=random) - 0.5
    smooth = torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear")
    return smooth.expand(-1, 3, -1, -1).contiguous()


def test_latents_of_pixels_give_back_a_small_grey_picture_exactly() -> None:
    vae, faces = PixelVae(), pictures(3)
    latents = encode(vae, faces)
    assert latents.shape == (3, 4, SIDE // 8, SIDE // 8)
    shown = decode(vae, latents)
    small = torch.nn.functional.avg_pool2d(faces, 4)
    assert torch.allclose(torch.nn.functional.avg_pool2d(shown, 4), small, atol=1e-5)
    assert torch.allclose(encode(vae, shown), latents, atol=1e-5)
    red = torch.tensor([1.0, -1, -1]).view(1, 3, 1, 1).expand(1, 3, SIDE, SIDE)
    assert torch.allclose(decode(vae, encode(vae, red)), torch.tensor(0.299 * 2 - 1), atol=1e-5)


def test_noise_is_sampled_with_no_deviation() -> None:
    vae, faces = PixelVae(), pictures(2)
    noise = torch.randn(2, 4, SIDE // 8, SIDE // 8)
    assert torch.equal(encode(vae, faces, noise), encode(vae, faces))


class Clips:
    """One clip of two frames."""

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __getitem__(self, index: int) -> int:
        return index

    def collate(self, samples: list[int]) -> UNetBatch:
        assert samples == [0] and self.epoch == 0
        faces, reference = pictures(2)[None], pictures(2, seed=1)[None]
        seeds = torch.tensor([2**62])
        return UNetBatch(faces, reference, torch.zeros(1, 2, 16, 80), None, seeds, ("clip",))


def test_a_preview_keeps_what_is_kept_and_measures_the_rest(tmp_path: Path) -> None:
    torch.manual_seed(0)
    unet = UNet3DConditionModel(**load_unet_training(TINY).model).train()
    keep = torch.ones(SIDE, SIDE)
    keep[SIDE // 2 :] = 0
    vae, clips = PixelVae(), Clips()
    preview = Preview(unet, vae, keep, clips, tmp_path, steps=2)
    found = preview(tmp_path / "unused.pt", 30)
    assert unet.training
    picture = cv2.imread(str(tmp_path / "previews" / "step-00000030.png"))
    assert picture.shape == (4 * SIDE, 2 * SIDE, 3)
    rows = picture.reshape(4, SIDE, 2 * SIDE, 3).astype(int)
    assert np.array_equal(rows[0, : SIDE // 2], rows[3, : SIDE // 2])
    assert (rows[1, SIDE // 2 :] == 128).all()  # the masked half is grey
    small = rows[0, :, :SIDE].reshape(SIDE // 4, 4, SIDE // 4, 4, 3).mean(axis=(1, 3))
    best = rows[2, ::4, :SIDE:4]
    assert np.abs(small - best)[SIDE // 8 :].max() < 1.5, "what four by four pixels have in common"
    difference = np.abs(rows[2] - rows[3])[SIDE // 2 :].mean()
    assert abs(found["mouth_error"] - difference) < 1
    assert preview(tmp_path / "unused.pt", 40) == found  # the same noise
    batch = clips.collate([0])
    assert generated(unet.eval(), vae, keep, batch, steps=2).shape == (2, 3, SIDE, SIDE)
