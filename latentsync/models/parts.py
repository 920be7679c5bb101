"""The U-Net in two parts, each a module with tensor inputs only, which can be traced by itself."""

from __future__ import annotations

from torch import Tensor, nn

from latentsync.models.unet import UNet3DConditionModel


class DeepLayers(nn.Module):
    """sample: (B, 13, F, h, w), waves: (B, c), audio: (B * F, s, a) -> (B * F, c, h, w).

    See UNet3DConditionModel.deep.
    """

    def __init__(self, unet: UNet3DConditionModel) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, sample: Tensor, waves: Tensor, audio: Tensor) -> Tensor:
        return self.unet.deep(sample, waves, audio)


class LastLayer(nn.Module):
    """The same and deep: (B * F, c, h, w), the output of DeepLayers -> (B, 4, F, h, w).

    See UNet3DConditionModel.last.
    """

    def __init__(self, unet: UNet3DConditionModel) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, sample: Tensor, deep: Tensor, waves: Tensor, audio: Tensor) -> Tensor:
        return self.unet.last(sample, deep, waves, audio)
