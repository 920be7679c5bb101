"""The weights files of networks that only the losses of training need."""

from __future__ import annotations

from latentsync.weights.known_licences import BSD_2, BSD_3_IMAGENET, VIDEOMAE_PAGES
from latentsync.weights.model_file import HubFile, ModelFile, ReleaseFile

VGG16 = ModelFile(
    key="VGG16",
    filename="vgg16-397923af.pth",
    places=("checkpoints/auxiliary/vgg16-397923af.pth",),
    bytes=553_433_881,
    sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    sources=(
        HubFile("ByteDance/LatentSync-1.5", "auxiliary/vgg16-397923af.pth"),
        HubFile("ByteDance/LatentSync-1.6", "auxiliary/vgg16-397923af.pth"),
        ReleaseFile("https://download.pytorch.org/models/vgg16-397923af.pth"),
    ),
    licence=BSD_3_IMAGENET,
    needed_by="training with run.perceptual_loss_weight (LPIPS)",
    setting="weights.folders",
)

LPIPS = ModelFile(
    key="LPIPS",
    filename="vgg.pth",
    places=("checkpoints/auxiliary/lpips/vgg.pth",),
    bytes=7_289,
    sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    sources=(
        ReleaseFile(
            "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/"
            "082bb24f84c091ea94de2867d34c4544f68e0963/lpips/weights/v0.1/vgg.pth"
        ),
    ),
    licence=BSD_2,
    needed_by="training with run.perceptual_loss_weight (LPIPS)",
    setting="weights.folders",
)

VIDEOMAE = ModelFile(
    key="VideoMAE v2 giant",
    filename="vit_g_hybrid_pt_1200e_ssv2_ft.pth",
    places=("checkpoints/auxiliary/vit_g_hybrid_pt_1200e_ssv2_ft.pth",),
    bytes=0,  # about 2.02e9; neither size nor hash is known for sure, so it is never downloaded
    sha256="",
    sources=(),
    licence=VIDEOMAE_PAGES,
    needed_by="training with run.trepa_loss_weight",
    setting="weights.folders",
    home="https://huggingface.co/ByteDance/LatentSync-1.5 (auxiliary/)",
)
