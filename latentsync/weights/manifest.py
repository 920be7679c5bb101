"""The weights files that the project can use: what each is called, where it lies, whose it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One published weights file.

    key: name of the model, as it stands in messages and reports.
    places: where the file may lie, relative to the project's root; the first is recommended.
    bytes, sha256: of the published file. One that is named by the user may be another.
    source: URL of the published file.
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

MODEL_FILES: dict[str, ModelFile] = {model.key: model for model in (GFPGAN, CODEFORMER)}
