"""The metadata key AIGC of China's labelling rules (GB 45438-2025): a JSON text of seven strings.

A source's own label is never replaced: who generated it stays its ContentProducer, and who changes
it later is named as its ContentPropagator, if nobody is yet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

KEY = "AIGC"
GENERATED = "1"  # Label: "2" is possibly generated, "3" suspected
_FIELDS = (
    *("Label", "ContentProducer", "ProduceID", "ReservedCode1"),
    *("ContentPropagator", "PropagateID", "ReservedCode2"),
)


def label(producer: str, number: str) -> str:
    """A new label. producer: name or filing code. number: the producer's id of this output."""
    made = {"Label": GENERATED, "ContentProducer": producer, "ProduceID": number}
    return _text(dict.fromkeys(_FIELDS, "") | made)


def amended(existing: str, producer: str, number: str) -> str | None:
    """The source's label with the producer as its propagator, and as generated.

    None: it stays as it is, because it names a propagator already or is not such a JSON text.
    """
    fields = read(existing)
    if fields is None or fields.get("ContentPropagator") or fields.get("PropagateID"):
        return None
    own = {"Label": GENERATED, "ContentPropagator": producer, "PropagateID": number}
    return _text({**fields, **own})


def read(text: str) -> Mapping[str, str] | None:
    """The fields of a label; None: it is not one."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or "Label" not in fields:
        return None
    return {str(key): str(value) for key, value in fields.items()}


def _text(fields: Mapping[str, str]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
