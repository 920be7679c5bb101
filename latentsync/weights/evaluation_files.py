"""The weights files of networks that judge finished videos. No job needs them."""

from __future__ import annotations

from latentsync.weights.known_licences import MIT, OPENRAIL, UNSTATED
from latentsync.weights.model_file import HubFile, ModelFile, ReleaseFile

_LATENTSYNC = ("ByteDance/LatentSync-1.5", "ByteDance/LatentSync-1.6")
_OXFORD = "https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/{file}"


def _hub(filename: str) -> tuple[HubFile, ...]:
    return tuple(HubFile(repo, filename) for repo in _LATENTSYNC)


SYNCNET = ModelFile(
    key="SyncNet",
    filename="syncnet_v2.model",
    places=("checkpoints/auxiliary/syncnet_v2.model",),
    bytes=54_573_114,
    sha256="961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442",
    sources=(
        *_hub("auxiliary/syncnet_v2.model"),
        ReleaseFile(_OXFORD.format(file="syncnet_v2.model")),
    ),
    licence=MIT,
    needed_by="nothing: with it scripts.evaluate measures sync (LSE-C, LSE-D)",
    setting="weights.folders",
)

STABLE_SYNCNET = ModelFile(
    key="StableSyncNet",
    filename="stable_syncnet.pt",
    places=("checkpoints/stable_syncnet.pt",),
    bytes=1_605_324_224,
    # Of LatentSync 1.5, by a single record; whether 1.6 has the same file is not known. A file
    # with another hash is used with a warning if it fits the network, but never downloaded.
    sha256="dccc464554b85ed939ae5cf63000e5803d4b21d8c7dae2260544a10aeb1ac483",
    sources=_hub("stable_syncnet.pt"),
    licence=OPENRAIL,
    needed_by="nothing: with it scripts.evaluate measures sync as LatentSync's training does",
    setting="weights.folders",
)

S3FD = ModelFile(
    key="S3FD",
    filename="sfd_face.pth",
    places=("checkpoints/auxiliary/sfd_face.pth",),
    bytes=89_844_381,
    sha256="d54a87c2b7543b64729c9a25eafd188da15fd3f6e02f0ecec76ae1b30d86c491",
    sources=(*_hub("auxiliary/sfd_face.pth"), ReleaseFile(_OXFORD.format(file="sfd_face.pth"))),
    licence=UNSTATED,
    needed_by="nothing: with it scripts.evaluate crops faces for SyncNet as published figures do",
    setting="weights.folders",
)

HYPERIQA = ModelFile(
    key="HyperIQA",
    filename="koniq_pretrained.pkl",
    places=("checkpoints/auxiliary/koniq_pretrained.pkl",),
    bytes=109_768_650,
    sha256="ff9277bcc68ecc10e77d88b6d0a32825ec3c85562095542734ec6212eaaf6d81",
    sources=(
        *_hub("auxiliary/koniq_pretrained.pkl"),
        ReleaseFile(
            "https://github.com/xinntao/facexlib/releases/download/v0.2.0/assessment_hyperIQA.pth"
        ),
    ),
    licence=MIT,
    needed_by="nothing: with it scripts.evaluate scores how good the face looks",
    setting="weights.folders",
    aliases=("assessment_hyperIQA.pth",),
)

FETCHED = (SYNCNET, HYPERIQA)
"""Those that `download --evaluation` fetches. StableSyncNet has 1.6 GB and no known limits of good
and poor; the licence of S3FD is not stated."""
