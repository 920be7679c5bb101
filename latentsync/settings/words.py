"""Settings in plain words: a name for each, and the groups in which a form shows them."""

from __future__ import annotations

OFTEN = (
    *("restore.when", "restore.strength", "restore.region", "generate.steps"),
    *("generate.guidance", "generate.seed", "generate.silence", "output.length"),
    *("output.mix", "output.crf"),
)
"""Those that people change most, in this order."""
OFTEN_USED = "Often used"
GROUPS = (
    ("generate.musetalk.", "New mouth movements: MuseTalk"),
    ("generate.replay.", "New mouth movements: replay"),
    ("generate.", "New mouth movements"),
    ("input.", "New mouth movements"),
    ("restore.", "Restoration"),
    ("face.", "Faces"),
    ("output.", "Output video"),
    ("", "Precision and comparison"),
)
"""Beginning of a key -> the title of its group; the first that fits."""
TITLES = ("New mouth movements", *dict(GROUPS).values())
"""Of groups, in the order in which they are shown; the first of two that are the same counts."""

NAMES = {
    "compat": "Reproduce LatentSync's own output",
    "face.cut_threshold": "Difference that counts as a cut",
    "face.detector": "Face detector",
    "face.identity": "How people are recognised",
    "face.max_faces": "Most faces in a frame",
    "face.max_gap_seconds": "Longest gap in detection, in seconds",
    "face.min_confidence": "Least confidence of a detection",
    "face.occlusion": "Hands and things before the mouth",
    "face.smoothing_seconds": "Smoothing of the face's position, in seconds",
    "generate.guidance": "How strongly the mouth follows the audio",
    "generate.guidance_interval": "Part of the denoising in which it follows the audio so strongly",
    "generate.musetalk.bbox_shift": "Height of the line between the old and the new face",
    "generate.musetalk.extra_margin": "Room below the chin",
    "generate.musetalk.left_cheek_width": "Width of the new face to the left",
    "generate.musetalk.right_cheek_width": "Width of the new face to the right",
    "generate.overlap": "Frames shared by neighbouring chunks",
    "generate.replay.exclude_seconds": "Neighbouring frames that are excluded, in seconds",
    "generate.replay.silence_weight": "How firmly lips close in pauses",
    "generate.scheduler": "Noise scheduler",
    "generate.seed": "Random seed",
    "generate.silence": "The mouth in pauses of the speech",
    "generate.step_cache": "Steps from one full computation to the next",
    "generate.steps": "Denoising steps",
    "generate.vae_batch": "Frames in one batch of the VAE",
    "input.audio_offset": "Second at which the speech begins",
    "output.aigc.producer": "Who generated the video (AIGC)",
    "output.audio_codec": "Audio codec",
    "output.codec": "Video encoder",
    "output.copy_unchanged": "Copy a video in which nothing changed",
    "output.crf": "Quality of the encoder (CRF)",
    "output.finer_mouth": "Finer coding of the mouth, in steps of CRF",
    "output.fps": "Frame rate",
    "output.length": "If speech and video differ in length",
    "output.max_remap": "Greatest change of speed with remap",
    "output.mix": "The video's own audio under the speech",
    "output.pix_fmt": "Pixel format",
    "output.preset": "Speed of the encoder",
    "output.provenance": "Mark of what was done",
    "output.quality": "Quality of a picture (JPEG, WebP)",
    "restore.batch": "Faces restored in one batch",
    "restore.blur_off": "Restoration ends below this probability of blur",
    "restore.blur_on": "Restoration begins above this probability of blur",
    "restore.code_margin": "How long CodeFormer keeps its codes",
    "restore.fade_seconds": "Fade of the restoration, in seconds",
    "restore.fidelity": "Fidelity to the input (GFPGAN, CodeFormer)",
    "restore.generator_size": "Size of the generated square, in pixels",
    "restore.min_scale": "Smallest scale that is restored",
    "restore.region": "Region that is restored",
    "restore.reuse": "Reuse of unchanged mouths",
    "restore.strength": "Strength of the restoration",
    "restore.temporal": "Smoothing over time",
    "restore.uncertain": "Mouths that may or may not be blurred",
    "restore.when": "Which frames are restored",
    "runtime.precision": "Precision of the networks",
}


def group_of(key: str) -> str:
    """The title of the group that a setting belongs to."""
    return next(title for beginning, title in GROUPS if key.startswith(beginning))
