"""The API does what its own description says, whatever it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import openapi
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.support.served import job_of, served

EXAMPLES = 3
"""Of requests for each route; the command ``schemathesis run URL/openapi.json`` makes more."""


def test_every_route_answers_as_the_description_says(tmp_path: Path) -> None:
    client, _ = served(tmp_path, hosts=("testserver",))
    schema = openapi.from_asgi("/openapi.json", client.app)
    known = job_of(client)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 25
    for operation in operations:
        _try(operation, {"job_id": known["id"], "upload_id": known["video"]})


def _try(operation: Any, ids: dict[str, str]) -> None:
    """With ids that exist, where the route has ids, in every other request."""
    turn = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def requests(case: Any) -> None:
        nonlocal turn
        turn += 1
        if turn % 2 and operation.method != "delete":
            case.path_parameters |= {
                name: ids[name] for name in case.path_parameters if name in ids
            }
        # A path, an address, an id: what the service thinks of them is not in the description.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    requests()
