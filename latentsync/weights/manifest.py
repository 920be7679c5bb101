"""The weights files that the project can use: names, sources, hashes and licences.

Sizes and hashes of the published files are confirmed by several independent records, where nothing
else is said.
"""

from __future__ import annotations

from latentsync.weights.evaluation_files import HYPERIQA, S3FD, STABLE_SYNCNET, SYNCNET
from latentsync.weights.known_licences import APACHE, MIT, MUSETALK_OPENRAIL, OPENRAIL, SLAB
from latentsync.weights.model_file import HubFile, ModelFile, ReleaseFile, WheelFile
from latentsync.weights.training_files import LPIPS, VGG16, VIDEOMAE

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
    sources=(
        ReleaseFile("https://github.com/TencentARC/GFPGAN/releases/download/v1.3.0/GFPGANv1.4.pth"),
        ReleaseFile("https://github.com/TencentARC/GFPGAN/releases/download/v1.3.4/GFPGANv1.4.pth"),
    ),
    licence=APACHE,
    needed_by="restore.name=GFPGAN",
    setting="restore.checkpoint",
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
    sources=(
        ReleaseFile("https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/codeformer.pth"),
    ),
    licence=SLAB,
    needed_by="restore.name=CodeFormer",
    setting="restore.checkpoint",
    aliases=("CodeFormer.pth", "codeformer-v0.1.0.pth"),
)

LATENTSYNC_UNET = ModelFile(
    key="LatentSync 1.6",
    filename="latentsync_unet.pt",
    places=("checkpoints/latentsync_unet.pt", "checkpoints/latentsync-1.6/latentsync_unet.pt"),
    bytes=5_072_222_488,
    sha256="0a478e89eb660f82da4c35dbdde8a5adfb27f99d1b4e50edd03729e1e98316d3",
    sources=(HubFile("ByteDance/LatentSync-1.6", "latentsync_unet.pt"),),
    licence=OPENRAIL,
    needed_by="generate.name=latentsync at 512 px",
    setting="generate.checkpoint",
)

LATENTSYNC_UNET_15 = ModelFile(
    key="LatentSync 1.5",
    filename="latentsync_unet.pt",
    places=("checkpoints/latentsync-1.5/latentsync_unet.pt", "checkpoints/latentsync_unet.pt"),
    bytes=5_072_348_184,
    sha256="6440b49a7ccceff56cdc001f5f17605216337f5bbd66fa360139768926e23f51",
    sources=(HubFile("ByteDance/LatentSync-1.5", "latentsync_unet.pt"),),
    licence=OPENRAIL,
    needed_by="generate.name=latentsync at 256 px",
    setting="generate.checkpoint",
)

MUSETALK = ModelFile(
    key="MuseTalk 1.5",
    filename="unet.pth",
    places=("checkpoints/musetalkV15/unet.pth", "models/musetalkV15/unet.pth"),
    bytes=3_400_074_924,
    sha256="7ebf6c98c181e20838e4c0054e96e944ac60d5d692cc01db42839fe11b787007",
    sources=(HubFile("TMElyralab/MuseTalk", "musetalkV15/unet.pth"),),
    licence=MUSETALK_OPENRAIL,
    needed_by="generate.name=musetalk",
    setting="generate.checkpoint",
    beside=("musetalk.json",),
)

_WHISPER = "https://openaipublic.azureedge.net/main/whisper/models/{sha256}/{file}"
_TINY = "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9"
_SMALL = "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794"

WHISPER_TINY = ModelFile(
    key="Whisper tiny",
    filename="tiny.pt",
    places=("checkpoints/whisper/tiny.pt",),
    bytes=75_572_083,
    sha256=_TINY,
    sources=(
        HubFile("ByteDance/LatentSync-1.6", "whisper/tiny.pt"),
        HubFile("ByteDance/LatentSync-1.5", "whisper/tiny.pt"),
        ReleaseFile(_WHISPER.format(sha256=_TINY, file="tiny.pt")),
    ),
    licence=MIT,
    needed_by="generate.name=latentsync and musetalk",
    setting="generate.whisper",
)

WHISPER_SMALL = ModelFile(
    key="Whisper small",
    filename="small.pt",
    places=("checkpoints/whisper/small.pt",),
    bytes=483_617_219,
    sha256=_SMALL,
    sources=(ReleaseFile(_WHISPER.format(sha256=_SMALL, file="small.pt")),),
    licence=MIT,
    needed_by="model.cross_attention_dim=768",
    setting="generate.whisper",
)

VAE = ModelFile(
    key="sd-vae-ft-mse",
    filename="diffusion_pytorch_model.safetensors",
    places=(
        "checkpoints/vae/diffusion_pytorch_model.safetensors",
        "checkpoints/sd-vae-ft-mse/diffusion_pytorch_model.safetensors",
    ),
    bytes=334_643_276,
    sha256="a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815",
    sources=(HubFile("stabilityai/sd-vae-ft-mse", "diffusion_pytorch_model.safetensors"),),
    licence=MIT,
    needed_by="generate.name=latentsync and musetalk",
    setting="generate.vae",
    beside=("config.json",),
)

TAESD = ModelFile(
    key="TAESD",
    filename="diffusion_pytorch_model.safetensors",
    places=("checkpoints/taesd/diffusion_pytorch_model.safetensors",),
    bytes=9_793_292,
    sha256="db169d69145ec4ff064e49d99c95fa05d3eb04ee453de35824a6d0f325513549",
    sources=(HubFile("madebyollin/taesd", "diffusion_pytorch_model.safetensors"),),
    licence=MIT,
    needed_by="generate.vae=taesd, as in --preset draft",
    setting="weights.folders",
    aliases=("taesd.safetensors",),
)

_MEDIAPIPE = "https://storage.googleapis.com/mediapipe-assets/{file}"
_MEDIAPIPE_WHEEL = 35_664_771  # bytes of the wheel for Linux


def _face_model(key: str, member: str, size: int, sha256: str, needed_by: str) -> ModelFile:
    """A file of MediaPipe's public model storage, which is also a member of its wheel."""
    filename = member.rpartition("/")[2]
    return ModelFile(
        key=key,
        filename=filename,
        places=(f"checkpoints/face/{filename}",),
        bytes=size,
        sha256=sha256,
        sources=(
            ReleaseFile(_MEDIAPIPE.format(file=filename)),
            WheelFile("mediapipe", "0.10.14", f"mediapipe/modules/{member}", _MEDIAPIPE_WHEEL),
        ),
        licence=APACHE,
        needed_by=needed_by,
        setting="weights.folders",
    )


FACE_FINDER = _face_model(
    "BlazeFace short range",
    "face_detection/face_detection_short_range.tflite",
    229_714,
    "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    "face.detector=mediapipe",
)
SMALL_FACE_FINDER = _face_model(
    "BlazeFace full range",
    "face_detection/face_detection_full_range_sparse.tflite",
    676_746,
    "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
    "face.detector=mediapipe",
)
FACE_MESH = _face_model(
    "Face mesh",
    "face_landmark/face_landmark.tflite",
    1_242_398,
    "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
    "face.detector=mediapipe",
)
PALM_FINDER = _face_model(
    "Palm finder",
    "palm_detection/palm_detection_lite.tflite",
    1_985_440,
    "e9a4aaddf90dda56a87235303cf00e4c2d3fb28725f68fd88772997dac905c18",
    "face.occlusion=auto",
)
HAND_LANDMARKS = _face_model(
    "Hand landmarks",
    "hand_landmark/hand_landmark_lite.tflite",
    2_071_597,
    "048edd3645c9bf7397d19a9f6e3a42957d6e414c9bea6598030a2e9b624156e6",
    "face.occlusion=auto",
)

LR_ASD = ModelFile(
    key="LR-ASD",
    filename="finetuning_TalkSet.model",
    places=("checkpoints/lr_asd/finetuning_TalkSet.model",),
    bytes=3_426_337,
    sha256="6b4ef53694e874e96cf630198dc479c78aebb3993bbf166aee3d926dfe7d9342",
    sources=(
        ReleaseFile(
            "https://raw.githubusercontent.com/Junhua-Liao/LR-ASD/main/weight/"
            "finetuning_TalkSet.model"
        ),
    ),
    licence=MIT,
    needed_by="face.speaker=auto",
    setting="weights.folders",
)

SFACE = ModelFile(
    key="SFace",
    filename="face_recognition_sface_2021dec.onnx",
    places=("checkpoints/face/face_recognition_sface_2021dec.onnx",),
    bytes=38_696_353,
    sha256="0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
    sources=(
        HubFile("opencv/face_recognition_sface", "face_recognition_sface_2021dec.onnx"),
        ReleaseFile(
            "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/"
            "face_recognition_sface/face_recognition_sface_2021dec.onnx"
        ),
    ),
    licence=APACHE,
    needed_by="nothing: with it people are recognised more surely (face.speaker)",
    setting="weights.folders",
)

MODEL_FILES: dict[str, ModelFile] = {
    model.key: model
    for model in (
        LATENTSYNC_UNET,
        LATENTSYNC_UNET_15,
        MUSETALK,
        VAE,
        TAESD,
        WHISPER_TINY,
        WHISPER_SMALL,
        GFPGAN,
        CODEFORMER,
        FACE_FINDER,
        SMALL_FACE_FINDER,
        FACE_MESH,
        PALM_FINDER,
        HAND_LANDMARKS,
        LR_ASD,
        SFACE,
        SYNCNET,
        STABLE_SYNCNET,
        S3FD,
        HYPERIQA,
        VGG16,
        LPIPS,
    )
}

BY_HAND = (VIDEOMAE,)
"""Files whose checksums are not known: they are found where a person has put them, and never
downloaded."""
