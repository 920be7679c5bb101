"""What a run did, for the node's second output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

EVERY_FRAME = ("per_frame", "flicker")
"""Parts of a report with a value for each frame."""


def summary(report: Mapping[str, Any]) -> str:
    """The report as JSON, without what it says of each frame: that may be megabytes."""
    kept = {key: value for key, value in report.items() if key not in EVERY_FRAME}
    kept["other_speakers"] = [
        {key: value for key, value in one.items() if key not in EVERY_FRAME}
        for one in report["other_speakers"]
    ]
    return json.dumps(kept, indent=1, default=str)
