"""Lip-sync a video to new speech, restore its mouth where it needs it, or only the latter.

python -m scripts.inference --config configs/unet.yaml --video_path v.mp4 --audio_path a.wav \\
    --video_out_path out.mp4 --superres CodeFormer
python -m scripts.inference --input lipsynced.mp4 --output out.mp4 --superres GFPGAN
python -m scripts.inference --input a.mp4 b.mp4 c.mp4 --output restored/
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from latentsync import __version__
from latentsync.commands.batch import Inputs, is_batch, run_batch
from latentsync.commands.console import DONE, INTERRUPTED, Parser, add_weights_flags, run
from latentsync.commands.to_evaluate import check_evaluations
from latentsync.errors import ConfigError
from latentsync.media.files import check_names
from latentsync.places import command
from latentsync.settings.presets import PRESETS
from latentsync.settings.schema import Config
from latentsync.settings.segments import read_segments
from latentsync.weights.licences import accept


def build_parser() -> Parser:
    parser = Parser(
        prog=command("inference"),
        description="Lip-sync a video to new speech, and restore the detail of the mouth where it "
        "is blurry. Without --audio_path, only restore the mouth of the video.",
        epilog="Settings can follow as key=value, such as restore.when=always; configs/demo.yaml "
        f"documents all of them. To download weights in advance: {command('download')}",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"latentsync {__version__}")
    add("--config", "--unet_config_path", metavar="YAML", help="file with settings; see configs/")
    add("--preset", metavar="NAME", help=f"quality against time: {', '.join(PRESETS)}")
    add(
        *("-i", "--input", "--input_path", "--video_path"),
        dest="input",
        nargs="+",
        action=Inputs,
        default=[],
        metavar="VIDEO",
        help="video or picture to lip-sync or to restore; or several, or a folder of them",
    )
    add(
        *("-o", "--output", "--output_path", "--video_out_path"),
        dest="output",
        metavar="VIDEO",
        help="result: .mp4, .m4v, .mov, .mkv or .webm, of a picture .png, .jpg, .webp, .tif or "
        ".bmp; a folder (NAME/) for several",
    )
    add(
        *("--audio_path", "--audio"),
        dest="audio",
        metavar="SPEECH",
        help="new speech, any audio or video file; without it, only restore",
    )
    add(
        "--audio_offset",
        type=float,
        metavar="SECONDS",
        help="when the new speech begins in the video, default 0; negative: its beginning is cut",
    )
    add(
        "--speaker",
        metavar="WHO",
        help="whose mouth: largest (default; of a picture all), left, right, a number (by order of "
        "appearance), x,y or x,y@seconds, a picture of the person, or auto (who speaks in the "
        "video's audio)",
    )
    add(
        "--segments",
        metavar="YAML",
        help="speeches of several people: a list of {speaker, audio, start, end, offset}",
    )
    add(
        "--list_speakers",
        action="store_true",
        help="only list the people of the video, with a contact sheet as PNG; no video",
    )
    add(
        "--superres",
        metavar="NAME",
        help="restorer: Detail (default), Self, GFPGAN, CodeFormer, none, package.module:load",
    )
    add(
        "--generator",
        metavar="NAME",
        help="generator: latentsync (default; 5.5 GB of weights, NVIDIA GPU recommended), "
        "musetalk (one step, 3.8 GB), replay (unit selection, no weights), package.module:load",
    )
    add(
        "--reference",
        metavar="VIDEO",
        help="original video of the person, which says how sharp the mouth is to be and which Self "
        "is fitted to; default with new speech: the input",
    )
    add(
        "-w",
        "--fidelity_weight",
        type=float,
        metavar="W",
        help="0 to 1 for GFPGAN (default 0.2), 0 to 1.2 for CodeFormer (default 0.8); "
        "higher: closer to the input, lower: sharper",
    )
    add("--inference_ckpt_path", dest="checkpoint", metavar="FILE", help="weights of the U-Net")
    add(
        "--inference_steps", type=int, dest="steps", metavar="N", help="denoising steps, default 20"
    )
    add(
        "--guidance_scale",
        type=float,
        dest="guidance",
        metavar="G",
        help="classifier-free guidance scale, 1 (off, half the time) to 20; usually 1 to 3, "
        "default 1.5",
    )
    add("--seed", type=int, metavar="N", help="random seed, default 1247; -1: new for each run")
    add(
        "--enable_deepcache",
        action="store_const",
        const=3,
        dest="step_cache",
        help="recompute deep U-Net features every third step only: about twice as fast",
    )
    add("--temp_dir", metavar="DIR", help="accepted for compatibility; has no effect")
    add_weights_flags(parser)
    add("--yes", action="store_true", help="download missing weights without asking")
    add("--device", metavar="NAME", help="auto (default: the fastest), cpu, cuda or mps")
    add("--overwrite", action="store_true", default=None, help="replace an existing output")
    add("--skip_existing", action="store_true", help="of several videos, skip those with an output")
    add(
        "--compare",
        action="store_true",
        default=None,
        help="also write before | after side by side, to a second video",
    )
    add(
        "--evaluate",
        action="store_true",
        default=None,
        help="also say how good the result is, in figures (RESULT.evaluation.json)",
    )
    add("--html", action="store_true", help="with --evaluate: also a page with pictures")
    add(
        "--sign_cert",
        metavar="PEM",
        help="certificate chain: sign the result with C2PA; needs the extra [provenance]",
    )
    add("--sign_key", metavar="PEM", help="private key of the certificate")
    add(
        "--resume",
        action="store_true",
        help="render in segments of 20 s, which are kept beside the output until it is complete: "
        "the same command goes on where it was stopped",
    )
    add("--preview", type=int, metavar="N", help="only N frames, before | after, as PNG; no video")
    add("--dry_run", action="store_true", help="only print plan, downloads and estimated time")
    add("--quiet", action="store_true", help="print warnings, errors and the last line only")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. arguments: without the program's name; None: those of the process."""
    given = sys.argv[1:] if arguments is None else arguments
    options = build_parser().read(given)
    options.line = shlex.join([*command("inference").split(), *given])
    return run(lambda: _run(options), quiet=options.quiet)


def _run(options: argparse.Namespace) -> int:
    from latentsync.settings.load import load_config  # slow to import, not needed for wrong flags

    accept(options.accept_licence)
    config = load_config(options.config, options.overrides, flags=_flags(options))
    _check_together(options, evaluated=config.output.evaluate)
    if options.list_speakers:
        from latentsync.commands.list_speakers import list_speakers

        return list_speakers(options, config)
    if is_batch(options.input, config.output.path):
        return run_batch(options, config)
    if options.resume and config.output.path is not None:
        from latentsync.commands.resume import resumed

        (config,) = resumed([config])
    _check_named(config)
    check_evaluations([Path(str(config.output.path))], config, html=options.html)
    # What follows imports torch, which takes seconds.
    from latentsync.commands.work import prepare_work, progress_of
    from latentsync.pipeline.job import checked

    job = checked(config)
    try:
        prepare_work(options, job)(job, progress_of(options))
    except KeyboardInterrupt:
        if not options.resume:
            raise
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return DONE


def _check_together(options: argparse.Namespace, *, evaluated: bool) -> None:
    count = options.preview
    if count is not None and count < 1:
        raise ConfigError("--preview", count, "ask for 1 frame or more")
    if count is not None and options.dry_run:
        raise ConfigError("--preview", count, "leave out --dry-run")
    if options.html and not evaluated:
        raise ConfigError("--html", "without --evaluate", "the page shows an evaluation: add it")
    if options.resume and (count is not None or options.dry_run):
        options.resume = False  # nothing is written


def _check_named(config: Config) -> None:
    """Checks names before torch is imported, which takes seconds.

    Raises what pipeline.job.checked would.
    """
    own = config.output
    if config.input.video is None:
        raise ConfigError("input.video", "not given", "pass --input VIDEO")
    if own.path is None:
        raise ConfigError("output.path", "not given", "pass --output VIDEO")
    check_names(Path(config.input.video), Path(own.path), overwrite=own.overwrite)


def _flags(options: argparse.Namespace) -> dict[str, Any]:
    writes_video = options.preview is None and not options.dry_run
    segments = None if options.segments is None else read_segments(Path(options.segments))
    return {
        "preset": options.preset,
        "input.video": options.input[0] if options.input else None,
        "input.audio": options.audio,
        "input.audio_offset": options.audio_offset,
        "output.path": options.output,
        "output.overwrite": options.overwrite or not writes_video or None,
        "output.compare": options.compare,
        "output.evaluate": options.evaluate,
        "output.sign.cert": options.sign_cert,
        "output.sign.key": options.sign_key,
        "face.speaker": options.speaker,
        "speakers": segments,
        "restore.name": options.superres,
        "restore.reference": options.reference,
        "restore.fidelity": options.fidelity_weight,
        "generate.name": options.generator,
        "generate.checkpoint": options.checkpoint,
        "generate.steps": options.steps,
        "generate.guidance": options.guidance,
        "generate.seed": options.seed,
        "generate.step_cache": options.step_cache,
        "weights.offline": options.offline or options.dry_run or None,
        "runtime.device": options.device,
    }
