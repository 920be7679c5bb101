"""What routes are given, and what most of them may answer."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header, Query, Request

from latentsync.server.http.answers import errors
from latentsync.server.http.auth import current_user
from latentsync.server.jobs.ordering import KEY
from latentsync.server.service import Service

LONGEST_WAIT = 60.0
COMMON = errors(400, 401, 403, 404, 408, 413, 415, 421, 422, 429, 500, 503)
"""Of every route; what a route answers beside these is said there."""
_WAIT = re.compile(r"\bwait=(\d{1,4})\b")


async def the_service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def the_user(request: Request) -> str:
    return current_user(request)


async def the_wait(
    wait: Annotated[
        float | None, Query(ge=0, le=LONGEST_WAIT, description="seconds to wait for the result")
    ] = None,
    prefer: Annotated[str | None, Header(description="wait=SECONDS, as the query")] = None,
) -> float:
    """A header that asks for more than is given asks for as much as is given (RFC 7240)."""
    if wait is not None:
        return wait
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), LONGEST_WAIT) if found else 0.0


TheService = Annotated[Service, Depends(the_service)]
User = Annotated[str, Depends(the_user)]
Wait = Annotated[float, Depends(the_wait)]


KEY_SCHEMA = {"pattern": f"^{KEY}$"}
