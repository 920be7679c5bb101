"""The text of --dry-run: what would be done, and how long it would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from latentsync.estimate.estimate import Estimate
from latentsync.generate.table import generator_kind
from latentsync.pipeline.job import Job
from latentsync.pipeline.placed_speech import PlacedSpeech
from latentsync.pipeline.planning.checks import in_percent
from latentsync.settings.lengths import REMAP, decibels
from latentsync.weights.model_file import ModelFile, readable


def summary(job: Job, found: Estimate, missing: Sequence[ModelFile] = ()) -> str:
    """Returns lines of text, the last with the time. missing: weights to be downloaded."""
    lines = [_video(job), f"faces    in {found.with_face} of {found.sampled} sampled frames"]
    if found.people > 1:
        at_once = f"up to {found.people} at once in the sampled frames"
        lines.append(f"people   {at_once}; --list-speakers lists all")
    lines += _weights(missing)
    if job.audio is not None:
        generating = generator_kind(job.config).described(job.config)
        lines.append(f"speech   {job.audio}: {generating}")
        lines.append(f"length   {_length(job)}")
    lines.append(f"restore  {_restoration(job, found)}")
    lines.append(f"output   {job.output.target}: {_encoder(job)}")
    lines += [f"stages   {one.title}: {_milliseconds(one.cost.stages)}" for one in found.passes]
    if found.converts:
        lines.append("note     the first run converts the networks for OpenVINO: 1 to 2 min more")
    return "\n".join([*lines, _time(found)])


def without_analysis(job: Job, missing: Sequence[ModelFile], necessary: Sequence[ModelFile]) -> str:
    """What is known where models that analyze the video are missing: nothing can be timed.

    necessary: those of the missing ones.
    """
    lines = [_video(job), *_weights(missing), f"output   {job.output.target}"]
    names = ", ".join(model.key for model in necessary)
    return "\n".join([*lines, f"time     unknown: the video cannot be analyzed without {names}"])


def _weights(missing: Sequence[ModelFile]) -> list[str]:
    if not missing:
        return []
    total = readable(sum(model.bytes for model in missing))
    lines = [f"weights  {total} to download first:"]
    lines += [f"           {model.key}: {model.size}, {model.licence}" for model in missing]
    asked = [model.licence.ask_as for model in missing if model.licence.ask_as]
    lines += [f"         accept its licence with --accept-licence {name}" for name in asked]
    return lines


def _video(job: Job) -> str:
    source, picture = job.source, job.source.picture
    if picture is not None:
        return f"picture  {source.width}x{source.height}, {picture.kind}, {picture.bits} bits"
    size = f"{source.width}x{source.height}, {source.frame_count or 'unknown'} frames"
    rate = f"{float(source.average_rate):.5g} fps, {source.duration_seconds:.1f} s"
    return f"video    {size}, {rate}"


def _encoder(job: Job) -> str:
    own, picture = job.output.settings, job.output.picture
    if picture is not None:
        return picture.kind
    parts = [own.codec, own.pix_fmt]
    parts += [f"{key} {value}" for key, value in own.effective.items() if value is not None]
    return ", ".join(parts)


def _length(job: Job) -> str:
    """Of the output, and what is heard beside the speech."""
    mix = job.config.output.mix
    beside = "" if mix is None else f"; the video's own audio at {decibels(mix):g} dB under it"
    if not isinstance(job.audio, PlacedSpeech):
        return f"as long as the video{beside}"
    video, length = job.audio.video_seconds, job.config.length
    seconds = f"{job.audio.seconds:.1f} s ({length}): the speech ends at {job.audio.end:.1f} s"
    if length == REMAP and video:
        seconds += f", the video becomes {in_percent(job.audio.seconds / video)}"
    return seconds + beside


def _restoration(job: Job, found: Estimate) -> str:
    restore = job.config.restore
    if restore.name.lower() == "none" or restore.when == "never":
        return "none"
    what = f"{restore.name}, {restore.region}, {restore.when}"
    if found.untimed:
        what += " (not included in the time below, as its weights are missing)"
    if job.audio is not None and restore.when == "auto":
        return f"{what}: generated mouths that are blurry; every face is counted in the time below"
    return f"{what}: {found.restored} of {found.sampled} sampled frames"


def _milliseconds(stages: Mapping[str, float]) -> str:
    each = ", ".join(f"{name} {seconds * 1000:.3g}" for name, seconds in stages.items())
    return f"{each} ms per frame"


def _time(found: Estimate) -> str:
    last = found.passes[-1]
    if not found.frames:
        fps = 1 / sum(one.per_frame for one in found.passes)
        return f"time     {fps:.2g} fps; the video does not state its length"
    fps = found.frames / found.seconds
    parts = ", ".join(f"{one.title} {_duration(one.seconds)}" for one in found.passes)
    total = f"about {_duration(found.seconds)} at {fps:.2g} fps"
    return f"time     {parts} (bottleneck: {last.slowest}); total {total}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(max(1, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
