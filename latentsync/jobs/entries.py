"""Reads a list of jobs: our YAML, MuseTalk's YAML, a CSV table, or a folder."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from latentsync.errors import ConfigError
from latentsync.media.container import MUXERS
from latentsync.media.picture.kinds import KINDS as PICTURES
from latentsync.settings.paths import resolved

SPEECH = (".wav", ".mp3", ".m4a", ".flac", ".ogg", ".opus", ".aac")
"""Suffixes of the speech beside a video of a folder."""
_OWN = ("name", "video", "audio", "output", "priority", "speaker", "settings")
_MUSETALK = {"video_path": "video", "audio_path": "audio", "result_name": "output"}
_OF_ITS_CROP = ("bbox_shift", "extra_margin", "left_cheek_width", "right_cheek_width")
_LISTED = (
    "it is a list of entries such as {video: a.mp4, audio: a.wav, output: out/a.mp4} under jobs:"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One job as it is written down. where: file and line, for messages. settings: dotted key ->
    value. problem: why it cannot be read; None: it can."""

    where: str
    name: str = ""
    video: str | None = None
    audio: str | None = None
    output: str | None = None
    priority: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


def read_entries(path: Path, output_folder: Path | None = None) -> list[Entry]:
    """In the order of the file. Relative inputs are those of the file's folder or, where they only
    exist there, of the current one; outputs are relative to the current folder.

    output_folder: for entries without an output. Raises ConfigError: the file cannot be read, or
    holds no jobs.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError("the list of jobs cannot be read", path, reason) from None
    rows = _table_rows(text) if path.suffix.lower() == ".csv" else _yaml_rows(text, path)
    entries = [
        _entry(row, f"{path.name} line {line}", path.parent, output_folder) for line, row in rows
    ]
    if not entries:
        raise ConfigError("the list holds no jobs", path, _LISTED)
    return entries


def folder_entries(folder: Path, videos: list[Path], output_folder: Path) -> list[Entry]:
    """One for each video or picture; speech of the same name beside it is its new speech. Outputs
    are of the same kind, where that can be written."""
    entries = []
    for video in videos:
        beside = (video.with_suffix(suffix) for suffix in SPEECH)
        speech = next((str(one) for one in beside if one.is_file()), None)
        kept = video.suffix.lower() in (*MUXERS, *(() if speech else PICTURES))
        target = output_folder / (video.name if kept else f"{video.stem}.mp4")
        where = str(video.relative_to(folder))
        entries.append(Entry(where, video.name, str(video), speech, str(target)))
    return entries


def _yaml_rows(text: str, path: Path) -> list[tuple[int, Any]]:
    """Line and content of each entry; the defaults of the file are below its own settings."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        content = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigError("the list of jobs cannot be read", path, reason) from None
    if isinstance(content, list) and isinstance(node, yaml.SequenceNode):
        return _numbered(node, content, {})
    if not isinstance(content, dict) or not isinstance(node, yaml.MappingNode):
        raise ConfigError("the list holds no jobs", path, _LISTED)
    parts = {key.value: value for key, value in node.value}
    if isinstance(content.get("jobs"), list):
        unknown = [str(key) for key in content if key not in ("jobs", "defaults")]
        if unknown:
            remedy = "use jobs, and defaults for the settings that all have"
            raise ConfigError("unknown key in the list of jobs", ", ".join(unknown), remedy)
        return _numbered(parts["jobs"], content["jobs"], content.get("defaults") or {})
    if content and all(isinstance(one, dict) and "video_path" in one for one in content.values()):
        return [
            (parts[name].start_mark.line, _of_musetalk(name, one)) for name, one in content.items()
        ]
    raise ConfigError("the list holds no jobs", path, _LISTED)


def _numbered(node: yaml.SequenceNode, content: list[Any], defaults: Any) -> list[tuple[int, Any]]:
    rows = []
    for part, one in zip(node.value, content, strict=True):
        if isinstance(one, dict):
            one = {**one, "settings": [defaults, one.get("settings") or {}]}
        rows.append((part.start_mark.line + 1, one))
    return rows


def _of_musetalk(name: str, one: Mapping[str, Any]) -> dict[str, Any]:
    """bbox_shift and what else belongs to MuseTalk's own cropping becomes settings."""
    known = {ours: one[theirs] for theirs, ours in _MUSETALK.items() if theirs in one}
    crop = {f"generate.musetalk.{key}": one[key] for key in _OF_ITS_CROP if key in one}
    return {"name": name, **known, "settings": [crop]}


def _table_rows(text: str) -> Iterator[tuple[int, Any]]:
    """Columns that are no keys of an entry are settings."""
    reader = csv.DictReader(text.splitlines())
    for row in reader:
        if not any((value or "").strip() for key, value in row.items() if key is not None):
            continue
        if None in row or None in row.values():
            yield reader.line_num, "it has not as many values as the first line has names"
            continue
        given = {key.strip(): value.strip() for key, value in row.items() if value.strip()}
        settings = {key: yaml.safe_load(given.pop(key)) for key in [*given] if key not in _OWN}
        yield reader.line_num, {**given, "settings": [settings]}


def _entry(row: Any, where: str, folder: Path, output_folder: Path | None) -> Entry:
    if not isinstance(row, dict):
        problem = row if isinstance(row, str) and " " in row else f"it is no entry; {_LISTED}"
        return Entry(where, problem=problem)
    unknown = [str(key) for key in row if key not in _OWN]
    if unknown:
        known = ", ".join(_OWN)
        return Entry(where, problem=f"unknown key: {', '.join(unknown)}; use {known}")
    settings: dict[str, Any] = {}
    for layer in row.get("settings") or []:
        if not isinstance(layer, dict):
            return Entry(where, problem="settings: write them as key: value")
        settings |= _dotted(layer)
    if row.get("speaker") is not None:
        settings["face.speaker"] = str(row["speaker"])
    try:
        priority = int(row.get("priority") or 0)
    except (TypeError, ValueError):
        return Entry(where, problem=f"priority: {row['priority']}; use a whole number")
    video, audio, output = (
        None if row.get(k) is None else str(row[k]) for k in ("video", "audio", "output")
    )
    name = str(row.get("name") or (Path(video).name if video else ""))
    target = _target(video, audio, output, output_folder)
    video, audio = (resolved(one, folder) for one in (video, audio))
    return Entry(where, name, video, audio, target, priority, settings)


def _target(
    video: str | None, audio: str | None, output: str | None, folder: Path | None
) -> str | None:
    """A bare name goes into the folder of outputs; without one the names of video and speech."""
    if output is not None:
        return output if folder is None or Path(output).parent != Path() else str(folder / output)
    if folder is None or video is None:
        return None
    stems = [Path(one).stem for one in (video, audio) if one is not None]
    return str(folder / f"{'_'.join(stems)}.mp4")


def _dotted(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _dotted(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
