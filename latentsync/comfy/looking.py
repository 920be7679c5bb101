"""What the nodes do that look at a video and write none: the people in it, and how good it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from latentsync.comfy import files
from latentsync.comfy.choices import config_of
from latentsync.comfy.interruption import Interruption
from latentsync.comfy.process import device_of_comfyui, make_room, use_threads
from latentsync.comfy.progress import Bars
from latentsync.comfy.rendering import at_work, given_speech
from latentsync.evaluate.judge import Case, case_of, judge
from latentsync.evaluate.networks import load_judges
from latentsync.evaluate.pairs_of_files import evaluation_engine
from latentsync.evaluate.text import summary_lines
from latentsync.media.probe import probe
from latentsync.pipeline.contact_sheet import contact_sheet, people_table
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.requirements import ensure_face_models
from latentsync.pipeline.session import Session
from latentsync.runtime.execution import torch_threads
from latentsync.settings.schema import Config


def people_of(inputs: Mapping[str, Any]) -> tuple[torch.Tensor, str, int]:
    """(1, H, W, 3) float RGB [0, 1], the contact sheet; the table; how many people there are.

    Raises as rendering.made does.
    """
    with at_work() as (interruption, bars), files.video_file(inputs["video"]) as video:
        config = config_of(
            inputs, device_of_comfyui(), restore__name="none", input__video=str(video)
        )
        return _people(config, video, interruption, bars)


def _people(
    config: Config, video: Path, interruption: Interruption, bars: Bars
) -> tuple[torch.Tensor, str, int]:
    """A function of its own: its models are released when it returns, before at_work ends."""
    ensure_face_models(config)
    info = probe(video)
    use_threads(1)
    with interruption.stops(Session(Engine(config), info)) as session:
        times = session.observe(bars.frames).pts_seconds
        people, spoken = session.people.all, session.people.speaking
    speech = spoken.spans if spoken.evidence else None
    seconds = float(times[-1] + 1 / info.average_rate)
    sheet = contact_sheet(people, seconds=seconds, speech=speech)
    lines = people_table(people, speech=speech)
    return torch.from_numpy(sheet).float()[None] / 255, "\n".join(lines), len(people)


def judged(inputs: Mapping[str, Any]) -> tuple[str, str]:
    """The verdict in words with its figures, and the evaluation as JSON. Raises as rendering.made
    does."""
    with at_work() as (_, bars), ExitStack() as opened:
        result = opened.enter_context(files.video_file(inputs["result"]))
        source = inputs.get("source")
        if source is not None:
            source = opened.enter_context(files.video_file(source))
        config = config_of(inputs, device_of_comfyui())
        case = case_of(result, source, given_speech(inputs, opened))
        return _judged(config, case, bars)


def _judged(config: Config, case: Case, bars: Bars) -> tuple[str, str]:
    """See _people."""
    judges = load_judges(config)
    if judges.execution is not None:
        make_room()
        use_threads(torch_threads(judges.execution))
    engine = evaluation_engine(config)
    found = judge(engine, case, judges=judges, progress=bars.frames).evaluation
    return "\n".join(summary_lines(found)), json.dumps(found, indent=1, default=str)
