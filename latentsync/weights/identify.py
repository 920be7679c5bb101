"""Identifies the model of a weights file by its keys, whatever the file's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

State = Mapping[str, Tensor]

WHISPER_SIZES = {384: "tiny", 512: "base", 768: "small", 1024: "medium", 1280: "large"}
"""Width of the encoder -> the size's name (arXiv 2212.04356, table 1)."""


def identify_checkpoint(state: State) -> str | None:
    """The name of the model that a state_dict belongs to; None: unknown."""
    for marks, name in _KNOWN:
        if all(any(key.startswith(mark) for key in state) for mark in marks.split()):
            return name if isinstance(name, str) else name(state)
    return None


def _unet(state: State) -> str:
    channels = state["conv_in.weight"].shape[1]
    audio = next((v for k, v in state.items() if k.endswith("attn2.to_k.weight")), None)
    width = 0 if audio is None else audio.shape[1]
    if channels == 8 and width == 384:
        return "a U-Net of MuseTalk"
    if channels != 13:
        return f"a U-Net of Stable Diffusion ({channels} channels in; LatentSync's takes 13)"
    layers = {k.split(".temporal_transformer")[0] for k in state if "motion_modules" in k}
    whisper = WHISPER_SIZES.get(width, "of unknown size")
    return f"a U-Net of LatentSync ({len(layers)} motion modules, for Whisper {whisper})"


def _whisper(prefix: str, layout: str) -> Callable[[State], str]:
    def name(state: State) -> str:
        width = state[f"{prefix}encoder.conv1.weight"].shape[0]
        return f"Whisper {WHISPER_SIZES.get(width, f'with {width} features')}{layout}"

    return name


_KNOWN: tuple[tuple[str, str | Callable[[State], str]], ...] = (
    ("conv_body_first.weight stylegan_decoder.", "GFPGAN v1.2, v1.3 or v1.4"),
    ("conv_body_first.0. stylegan_decoder.", "GFPGAN v1, the first one"),
    ("fuse_convs_dict.512.", "CodeFormer for inpainting or colour"),
    ("idx_pred_layer. fuse_convs_dict.", "CodeFormer"),
    ("idx_pred_layer. quantize.", "CodeFormer before its last training stage"),
    ("quantize.embedding.weight encoder.blocks.", "the VQGAN of CodeFormer's first stage"),
    ("quantize.embedding.weight encoder.down.", "RestoreFormer, or another VQGAN"),
    ("conv_in.weight down_blocks. up_blocks.", _unet),
    ("encoder.down_blocks. decoder.up_blocks. quant_conv.", "a VAE of Stable Diffusion"),
    ("encoder.down. decoder.up. quant_conv.", "a VAE in Stable Diffusion's first layout"),
    ("encoder.layers. decoder.layers.", "TAESD, or another tiny VAE"),
    ("first_stage_model. model.diffusion_model.", "a whole Stable Diffusion"),
    ("encoder.conv1.weight encoder.blocks.", _whisper("", "")),
    ("model.encoder.conv1.weight", _whisper("model.", " in the layout of transformers")),
    ("audio_encoder.down_blocks. visual_encoder.", "LatentSync's StableSyncNet"),
    ("netcnnaud. netcnnlip.", "SyncNet"),
    ("vgg. L2Norm3_3. extras.", "S3FD, a face detector"),
    ("res.conv1. fc5w_fc.", "HyperIQA"),
    ("model.visualEncoder. model.audioEncoder.", "LR-ASD or Light-ASD"),
    ("body. fpn. ClassHead.", "RetinaFace, a face detector"),
    ("encoder.0. body.0. out_mask_conv.", "ParseNet, a face parsing network"),
)
