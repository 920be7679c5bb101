"""Which files of this program decide what becomes of a source: with others it is prepared again.

The rule: they are the modules that BEGIN and, from there, all that these import, but for LEFT_OUT;
and the .json files that one of them names. A test reads the import statements and compares.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from latentsync.places import PACKAGE

BEGIN = ("training/preparation/one_source", "training/preparation/record")
"""All steps of a source, and what is kept of it."""

DECIDES = {
    "": "curves errors frame_times geometry plugins tone types",
    "evaluate": "figure networks pair statistics",
    "evaluate/measures": "face_quality lip_statistics lip_trace lips own_prediction",
    "evaluate/sync": "crops distances networks sanity score tracks",
    "face": "active_speaker align crossings detector finding identity insightface_detector joining "
    "landmarks mask_runs.json masks mean_face.json mesh_tracker people portraits speaker "
    "speaker_choice speaking speaking_evidence tracks turns",
    "face/models": "finder following mesh regions",
    "face/occlusion": "cells outline",
    "generate/replay": "lips",
    "media": "avframe boxes carrier color container decoder deep files hdr orientation probe "
    "reader samples seeking streams",
    "media/audio": "assembler info reader source",
    "media/picture": "exif info jpeg png tiff",
    "models": "hyperiqa lr_asd syncnet",
    "pipeline": "analysis concurrency engine observation speaking who_speaks",
    "restoration": "edge_blur",
    "runtime": "compiled device execution graph_rewrites graphs group_norm model_file network "
    "norm_kernels openvino",
    "speech": "acoustic mel mfcc mouth_prediction mouth_prediction.json voice_activity",
    "training/preparation": "clip_file clips faces failures frames manifest one_source quality "
    "readable record recording segments settings shots speakers sync tools",
}
"""Folder of the package -> files in it; .py where nothing else is said."""

LEFT_OUT = {
    "evaluate/needs": "says what weights are lacking",
    "evaluate/pairs_of_files": "of it only as_evaluated is used, whose settings count themselves",
    "evaluate/sync/measure": "of it only a class that holds networks is used",
    "evaluate/sync/stable_score": "StableSyncNet judges no clip",
    "face/models/hands": "no hands are looked for",
    "face/occlusion/find": "no occluders are looked for",
    "face/occlusion/near_hands": "no hands are looked for",
    "face/occlusion/observation": "no occluders are looked for",
    "face/occlusion/occluders": "no occluders are looked for",
    "face/occlusion/watch": "no occluders are looked for",
    "models/s3fd": "S3FD judges no clip",
    "pipeline/lipsync": "nothing is generated",
    "pipeline/planning/decide": "nothing is restored",
    "pipeline/requirements": "which weights there have to be; they count by their content",
    "pipeline/segments/identity": "says what a user's own detector is, as tools does of weights",
    "pipeline/source": "of it only the kind of an argument is used",
    "pipeline/stage_timer": "measures time",
    "places": "folders",
    "restoration/base": "nothing is restored",
    "restoration/sharpness": "measures mouths for the restoration alone",
    "runtime/cache": "keeps what was converted",
    "runtime/heartbeat": "shows that a network runs",
    "runtime/int8": "no network that judges runs in 8-bit integers",
    "runtime/memory": "how many faces are restored at once",
    "settings/schema": "the settings count themselves",
    "weights/": "weights count by their content",
}
"""Module, or with / all of a folder -> why it does not decide, though it is imported."""


def deciding_files() -> Iterator[Path]:
    """Below the package."""
    for folder, names in DECIDES.items():
        for name in names.split():
            yield Path(folder, name if "." in name else f"{name}.py")


@cache
def code_hash() -> str:
    digest = hashlib.sha256()
    for path in deciding_files():
        digest.update(path.as_posix().encode() + (PACKAGE / path).read_bytes())
    return digest.hexdigest()
