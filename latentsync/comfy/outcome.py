"""What a run did, for the node's second output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

EVERY_FRAME = "per_frame"
"""Part of a report."""


def summary(report: Mapping[str, Any]) -> str:
    """The report as JSON, without what it says of each frame: that may be megabytes."""
    others = [_kept(one) for one in report["other_speakers"]]
    return json.dumps({**_kept(report), "other_speakers": others}, indent=1, default=str)


def _kept(report: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key != EVERY_FRAME}
