"""Lip-sync a film to new speech, restore its mouth where it needs it, or only the latter.

python -m scripts.inference --config configs/unet.yaml --video_path v.mp4 --audio_path a.wav \\
    --video_out_path out.mp4 --superres CodeFormer
python -m scripts.inference --input lipsynced.mp4 --output out.mp4 --superres GFPGAN
"""

from __future__ import annotations

import argparse
import shlex
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
        description="Lip-sync a film to new speech, and restore its mouth where it needs it. "
        "Without --audio_path the mouth that is there is restored.",
        epilog="Any setting of the YAML file may follow as key=value, e.g. restore.when=always. "
        f"{command('download')} fetches weights beforehand.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"latentsync {__version__}")
    add("--config", "--unet_config_path", metavar="YAML", help="settings; see configs/")
    add("--preset", metavar="NAME", help=f"{', '.join(PRESETS)}: how much time it may take")
    add("-i", "--input", "--input_path", "--video_path", dest="input", metavar="VIDEO")
    add("-o", "--output", "--output_path", "--video_out_path", dest="output", metavar="VIDEO")
    add("--audio_path", "--audio", dest="audio", metavar="SPEECH", help="what is to be said")
    add(
        "--superres",
        metavar="NAME",
        help="Detail, Self, GFPGAN, CodeFormer, none, package.module:load",
    )
    add("--generator", metavar="NAME", help="latentsync, replay (no weights), package.module:load")
    add("--reference", metavar="VIDEO", help="the original film, for Self to learn the person from")
    add("-w", "--fidelity_weight", type=float, metavar="0..1", help="1: closest to the input")
    add("--inference_ckpt_path", dest="checkpoint", metavar="FILE", help="the U-Net's weights")
    add("--inference_steps", type=int, dest="steps", metavar="N", help="steps of the sampler")
    add("--guidance_scale", type=float, dest="guidance", metavar="G", help="1: none; up to 3")
    add("--seed", type=int, metavar="N", help="-1: another one each time")
    add("--enable_deepcache", action="store_const", const=3, dest="step_cache", help="faster steps")
    add("--temp_dir", metavar="DIR", help="taken and ignored: nothing temporary is written")
    add("--offline", action="store_true", default=None, help="fetch no weights")
    add("--yes", action="store_true", help="fetch weights that are missing without asking")
    add(
        "--accept_licence",
        action="append",
        default=[],
        metavar="NAME",
        help="CodeFormer, insightface",
    )
    add("--device", metavar="NAME", help="auto, cpu, cuda or mps")
    add("--overwrite", action="store_true", default=None, help="replace an output that is there")
    add(
        "--compare",
        action="store_true",
        default=None,
        help="also write before | after side by side",
    )
    add("--preview", type=int, metavar="N", help="N frames before | after as PNG, no video")
    add("--dry_run", action="store_true", help="say what would be done and how long it would take")
    add("--quiet", action="store_true", help="no progress; warnings, errors and the last line")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. arguments: without the program's name; None: those of the process."""
    given = sys.argv[1:] if arguments is None else arguments
    options = build_parser().read(given)
    options.line = shlex.join([*command("inference").split(), *given])
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
    return _enhance(config, Consent(options, config), options.line, quiet=options.quiet)


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


def _enhance(config: Config, consent: Consent, line: str, *, quiet: bool) -> int:
    from latentsync.pipeline.job import prepare
    from latentsync.pipeline.progress import unwatched
    from latentsync.pipeline.report import stage_table
    from latentsync.pipeline.session import Session
    from latentsync.weights.obtain import unwatched_bytes

    job = prepare(config, unwatched_bytes if quiet else byte_bar, consent)
    with Session(_engine(config, job.audio), job.source, audio=job.audio) as session:
        watched = unwatched if quiet else progress_bar
        report = session.render(job.output, watched, command=line)
    if not quiet:
        print(stage_table(report), file=sys.stderr)
        if job.output.comparison is not None:
            print(f"{job.output.comparison.target}: before | after, side by side")
        if config.output.report:
            print(f"{job.output.report_path}: what was done to which frame, and why")
    frames = report["frames"]
    spoken = f"{frames['generated']} frames generated, " if job.audio else ""
    counted = f"{frames['restored']} of {frames['total']} frames restored"
    if report["output"]["video"] == "copied":
        counted += ", the video stream copied unchanged"
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
    from latentsync.restore.base import weights_wanted

    job = checked(config)
    missing = missing_weights(config, speech=job.audio is not None)
    here = not any(model in missing for model, _ in weights_wanted(config.restore))
    loaded = config if here else replace(config, restore=replace(config.restore, name="none"))
    print(told(job, estimate(job, _engine(loaded, job.audio, estimate=True)), missing))
    return DONE
