"""Lip-sync a film to new speech, restore its mouth where it needs it, or only the latter.

python -m scripts.inference --config configs/unet.yaml --video_path v.mp4 --audio_path a.wav \\
    --video_out_path out.mp4 --superres CodeFormer
python -m scripts.inference --input lipsynced.mp4 --output out.mp4 --superres GFPGAN
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentsync import __version__
from latentsync.commands.consent import Consent
from latentsync.commands.console import DONE, Parser, run, use_threads
from latentsync.commands.progress import byte_bar, progress_bar
from latentsync.errors import ConfigError
from latentsync.places import command
from latentsync.settings.load import load_config
from latentsync.settings.presets import PRESETS
from latentsync.settings.schema import Config
from latentsync.weights.licences import accept

if TYPE_CHECKING:
    from latentsync.pipeline.engine import Engine


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
        "-i",
        "--input",
        "--input_path",
        "--video_path",
        dest="input",
        metavar="VIDEO",
        help="video to lip-sync or to restore",
    )
    add(
        "-o",
        "--output",
        "--output_path",
        "--video_out_path",
        dest="output",
        metavar="VIDEO",
        help="result: .mp4, .m4v, .mov or .mkv",
    )
    add(
        "--audio_path",
        "--audio",
        dest="audio",
        metavar="SPEECH",
        help="new speech, any audio or video file; without it, only restore",
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
        "replay (unit selection, no weights), package.module:load",
    )
    add(
        "--reference",
        metavar="VIDEO",
        help="original video of the person, for Self; default with new speech: the input",
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
    add(
        "--offline", action="store_true", default=None, help="do not download; list what is missing"
    )
    add("--yes", action="store_true", help="download missing weights without asking")
    add(
        "--accept_licence",
        action="append",
        default=[],
        metavar="NAME",
        help="accept the non-commercial licence of weights, once: CodeFormer, insightface",
    )
    add("--device", metavar="NAME", help="auto (default: the fastest), cpu, cuda or mps")
    add("--overwrite", action="store_true", default=None, help="replace an existing output")
    add(
        "--compare",
        action="store_true",
        default=None,
        help="also write before | after side by side, to a second video",
    )
    add("--preview", type=int, metavar="N", help="only N frames, before | after, as PNG; no video")
    add("--dry_run", action="store_true", help="only print plan, downloads and estimated time")
    add("--quiet", action="store_true", help="print warnings, errors and the last line only")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. arguments: without the program's name; None: those of the process."""
    options = build_parser().read(sys.argv[1:] if arguments is None else arguments)
    return run(lambda: _run(options), quiet=options.quiet)


def _run(options: argparse.Namespace) -> int:
    accept(options.accept_licence)
    config = load_config(options.config, options.overrides, flags=_flags(options))
    if options.preview is not None and options.dry_run:
        raise ConfigError("--preview", options.preview, "leave out --dry-run")
    _check_named(config)
    if options.preview is not None:
        return _preview(config, options.preview, Consent(options, config))
    if options.dry_run:
        return _dry_run(config)
    return _enhance(config, Consent(options, config), quiet=options.quiet)


def _check_named(config: Config) -> None:
    """A video that is not there is found out before torch is imported, which takes seconds.

    Raises what pipeline.job.checked would.
    """
    if config.input.video is None:
        raise ConfigError("input.video", "not given", "pass --input VIDEO")
    if config.output.path is None:
        raise ConfigError("output.path", "not given", "pass --output VIDEO")
    if not Path(config.input.video).exists():
        from latentsync.media.container import open_source

        open_source(Path(config.input.video)).close()


def _flags(options: argparse.Namespace) -> dict[str, Any]:
    writes_video = options.preview is None and not options.dry_run
    return {
        "preset": options.preset,
        "input.video": options.input,
        "input.audio": options.audio,
        "output.path": options.output,
        "output.overwrite": options.overwrite or not writes_video or None,
        "output.compare": options.compare,
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


def _enhance(config: Config, consent: Consent, *, quiet: bool) -> int:
    from latentsync.pipeline.job import prepare
    from latentsync.pipeline.progress import no_progress
    from latentsync.pipeline.report import stage_table
    from latentsync.pipeline.session import Session
    from latentsync.weights.ensure import no_byte_progress

    job = prepare(config, no_byte_progress if quiet else byte_bar, consent)
    with Session(_engine(config, job.audio), job.source, audio=job.audio) as session:
        report = session.render(job.output, no_progress if quiet else progress_bar)
    if not quiet:
        print(stage_table(report), file=sys.stderr)
        if job.output.comparison is not None:
            print(f"{job.output.comparison.target}: before | after, side by side")
        if config.output.report:
            print(f"{job.output.report_path}: what was done to which frame, and why")
    frames = report["frames"]
    spoken = f"{frames['generated']} frames generated, " if job.audio else ""
    counted = f"{frames['restored']} of {frames['total']} frames restored"
    print(f"{job.output.target}: {spoken}{counted}")
    return DONE


def _engine(config: Config, audio: Path | None, *, estimate: bool = False) -> Engine:
    """The loaded models, and the process's threads set for what will run.

    estimate: those that draw mouths are not loaded, as their weights may not be there.
    """
    from latentsync.pipeline.engine import Engine, execution_of
    from latentsync.pipeline.requirements import runs_networks
    from latentsync.runtime.execution import torch_threads

    engine = Engine(config)
    networks = runs_networks(config, speech=audio is not None)
    if audio is None:
        execution = engine.execution
    elif estimate:
        execution = execution_of(config.runtime, networks=networks)
    else:
        execution = engine.lipsync.execution
    use_threads(torch_threads(execution, networks=networks))
    return engine


def _preview(config: Config, count: int, consent: Consent) -> int:
    from latentsync.pipeline.job import prepare
    from latentsync.pipeline.preview import write_previews
    from latentsync.pipeline.session import Session

    job = prepare(config, byte_bar, consent)
    with Session(_engine(config, job.audio), job.source, audio=job.audio) as session:
        for path in write_previews(session, count, job.output.target):
            print(path)
    return DONE


def _dry_run(config: Config) -> int:
    from latentsync.commands.dry_run import told
    from latentsync.estimate.estimate import estimate
    from latentsync.pipeline.job import checked
    from latentsync.pipeline.requirements import missing_weights
    from latentsync.restoration.base import weights_wanted

    job = checked(config)
    missing = missing_weights(config, speech=job.audio is not None)
    here = not any(model in missing for model, _ in weights_wanted(config.restore))
    loaded = config if here else replace(config, restore=replace(config.restore, name="none"))
    print(told(job, estimate(job, _engine(loaded, job.audio, estimate=True)), missing))
    return DONE
