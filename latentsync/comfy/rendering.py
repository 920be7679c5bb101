"""Runs the pipeline for a node, as the inference command does."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from latentsync.comfy import files, model_files
from latentsync.comfy.choices import config_of, speech_path
from latentsync.comfy.interruption import Interruption
from latentsync.comfy.process import as_in_our_process, device_of_comfyui, make_room, use_threads
from latentsync.comfy.progress import Bars, MouthPreview
from latentsync.errors import ConfigError
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.job import prepare
from latentsync.pipeline.requirements import runs_networks
from latentsync.pipeline.session import Session
from latentsync.runtime.execution import torch_threads
from latentsync.settings.schema import Config

logger = logging.getLogger(__name__)


@contextmanager
def at_work() -> Iterator[tuple[Interruption, Bars]]:
    """What every node does around its work."""
    with Interruption() as interruption, as_in_our_process():
        yield interruption, Bars(interruption)


def made(inputs: Mapping[str, Any], *, speaks: bool) -> tuple[Path, dict[str, Any]]:
    """The result of a node and its report. inputs: id -> value of those that were given.

    speaks: whether new speech is asked for. Raises LatentSyncError, and
    ComfyUI's exception where the user interrupts. Then no file is left.
    """
    with at_work() as (interruption, bars), ExitStack() as opened:
        images, fps = inputs.get("images"), float(inputs.get("images_fps", 25.0))
        video = opened.enter_context(files.video_file(inputs.get("video"), images, fps))
        reference = inputs.get("reference")
        if reference is not None:
            reference = str(opened.enter_context(files.video_file(reference)))
        if speaks:
            inputs = {"generator": model_files.AUTO, **inputs}
        config = config_of(
            inputs,
            device_of_comfyui(),
            input__video=str(video),
            input__audio=_speech(inputs, opened) if speaks else None,
            restore__reference=reference,
            output__path=str(files.result_path(video)),
            output__report=bool(inputs.get("report")),
        )
        report = _rendered(config, inputs, interruption, bars)
        return Path(str(config.output.path)), report


def given_speech(inputs: Mapping[str, Any], opened: ExitStack) -> Path | None:
    """The file with the speech of the inputs speech or speech_file; None: neither is given.

    opened: keeps a file that is made of AUDIO. Raises ConfigError: both are given.
    """
    named, audio = speech_path(inputs), inputs.get("speech")
    if audio is None:
        return named
    if named is not None:
        raise ConfigError("speech and speech_file", "both are given", "give one of them")
    return opened.enter_context(files.audio_file(audio))


def _speech(inputs: Mapping[str, Any], opened: ExitStack) -> str:
    path = given_speech(inputs, opened)
    if path is None:
        remedy = "connect AUDIO to speech, or name a file in speech_file"
        raise ConfigError("no speech", "neither input is given", remedy)
    return str(path)


def _rendered(
    config: Config, inputs: Mapping[str, Any], interruption: Interruption, bars: Bars
) -> dict[str, Any]:
    speech = config.speech
    if speech:
        logger.info("the generator is %s", config.generate.name)
    accepted = bool(inputs.get("accept_licences"))
    model_files.accept_licences(config, speech=speech, accepted=accepted)
    if not inputs.get("fetch_weights"):
        model_files.check_here(config, speech=speech)
    job = prepare(config, bars.bytes)
    interruption.check()
    networks = runs_networks(config, speech=speech)
    if networks:
        make_room()
    engine = Engine(config)
    execution = engine.lipsync.execution if speech else engine.execution
    use_threads(torch_threads(execution, networks=networks))
    session = Session(engine, job.source, audio=job.audio, config=config)
    with interruption.stops(session):
        return session.render(job.output, bars.frames, observers=[MouthPreview(bars)])
