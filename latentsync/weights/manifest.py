"""The weights files that the project can use: what each is called, where it lies, whose it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One published weights file.

    key: name of the model, as it stands in messages and reports.
    places: where the file may lie, relative to the project's root; the first is recommended.
    bytes, sha256: of the published file. One that is named by the user may be another. sha256
        empty: not known, and bytes is what the tensors alone take.
    source: URL of the published file.
    commercial_use: known to be allowed.
    setting: the configuration key that names another path.
    """

    key: str
    filename: str
    places: tuple[str, ...]
    bytes: int
    sha256: str
    source: str
    licence: str
    commercial_use: bool
    setting: str = "restore.checkpoint"

    @property
    def size(self) -> str:
        return f"{self.bytes:,} bytes" if self.sha256 else f"about {self.bytes / 1e9:.2f} GB"


GFPGAN = ModelFile(
    key="GFPGANv1.4",
    filename="GFPGANv1.4.pth",
    places=(
        "GFPGAN/experiments/pretrained_models/GFPGANv1.4.pth",
        "checkpoints/GFPGANv1.4.pth",
        "gfpgan/weights/GFPGANv1.4.pth",  # where the original package's download puts it
    ),
    bytes=348_632_874,
    sha256="e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad",
    source="https://github.com/TencentARC/GFPGAN/releases/download/v1.3.0/GFPGANv1.4.pth",
    licence="Apache-2.0",
    commercial_use=True,
)

CODEFORMER = ModelFile(
    key="CodeFormer",
    filename="codeformer.pth",
    places=(
        "CodeFormer/weights/codeformer.pth",
        "CodeFormer/weights/CodeFormer/codeformer.pth",  # where the original script puts it
        "checkpoints/codeformer.pth",
    ),
    bytes=376_637_898,
    sha256="1009e537e0c2a07d4cabce6355f53cb66767cd4b4297ec7a4a64ca4b8a5684b7",
    source="https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/codeformer.pth",
    licence="S-Lab License 1.0, non-commercial use only",
    commercial_use=False,
)

_LATENTSYNC = "https://huggingface.co/ByteDance/LatentSync-{version}/resolve/main/{file}"


def _unet(version: str, *places: str) -> ModelFile:
    return ModelFile(
        key=f"LatentSync {version}",
        filename="latentsync_unet.pt",
        places=places,
        bytes=5_071_778_576,
        sha256="",
        source=_LATENTSYNC.format(version=version, file="latentsync_unet.pt"),
        licence=f"see the model card of ByteDance/LatentSync-{version}",
        commercial_use=False,
        setting="generate.checkpoint",
    )


# Both versions have the same keys and shapes: nothing but the folder tells one from the other.
LATENTSYNC_UNET = _unet(
    "1.6", "checkpoints/latentsync_unet.pt", "checkpoints/latentsync-1.6/latentsync_unet.pt"
)
LATENTSYNC_UNET_15 = _unet(
    "1.5", "checkpoints/latentsync-1.5/latentsync_unet.pt", "checkpoints/latentsync_unet.pt"
)

WHISPER_TINY = ModelFile(
    key="Whisper tiny",
    filename="tiny.pt",
    places=("checkpoints/whisper/tiny.pt",),
    bytes=75_572_083,
    sha256="65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9",
    source=_LATENTSYNC.format(version="1.6", file="whisper/tiny.pt"),
    licence="MIT",
    commercial_use=True,
    setting="generate.whisper",
)

WHISPER_SMALL = ModelFile(
    key="Whisper small",
    filename="small.pt",
    places=("checkpoints/whisper/small.pt",),
    bytes=483_617_219,
    sha256="9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794",
    source="https://openaipublic.azureedge.net/main/whisper/models/"
    "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794/small.pt",
    licence="MIT",
    commercial_use=True,
    setting="generate.whisper",
)

VAE = ModelFile(
    key="sd-vae-ft-mse",
    filename="diffusion_pytorch_model.safetensors",
    places=(
        "checkpoints/vae/diffusion_pytorch_model.safetensors",
        "checkpoints/sd-vae-ft-mse/diffusion_pytorch_model.safetensors",
    ),
    bytes=334_615_452,
    sha256="",
    source="https://huggingface.co/stabilityai/sd-vae-ft-mse/resolve/main/"
    "diffusion_pytorch_model.safetensors",
    licence="MIT",
    commercial_use=True,
    setting="generate.vae",
)

_ALL = (GFPGAN, CODEFORMER, LATENTSYNC_UNET, LATENTSYNC_UNET_15, WHISPER_TINY, WHISPER_SMALL, VAE)
MODEL_FILES: dict[str, ModelFile] = {model.key: model for model in _ALL}
