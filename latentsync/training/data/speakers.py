"""How many people speak in clips, where scripts.prepare_data has made them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from latentsync.training.data.listing import Clip
from latentsync.training.data.survey import Survey

_SHARDS, _INDEX = "shards", "index.json"


def speakers_of(found: Survey) -> int:
    """Of all usable clips; 0: not known of some."""
    names = {_speaker(one.clip) for one in found.usable}
    return 0 if None in names else len(names)


def _speaker(clip: Clip) -> str | None:
    """prepare_data writes OUTPUT/shards/index.json, and clips into OUTPUT/clips/SOURCE."""
    own = Path(clip.path.name if clip.member is None else clip.member.name)
    beside = clip.path.parent / _INDEX
    above = [folder / _SHARDS / _INDEX for folder in clip.path.absolute().parents[1:3]]
    for index in (beside, *above):
        speaker = _samples(index).get(own.stem, {}).get("speaker")
        if speaker is not None:
            return str(speaker)
    return None


@cache
def _samples(index: Path) -> dict[str, dict[str, object]]:
    try:
        content = json.loads(index.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    samples = content.get("samples") if isinstance(content, dict) else None
    return samples if isinstance(samples, dict) else {}
