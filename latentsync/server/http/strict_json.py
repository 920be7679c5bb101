"""Bodies of JSON that mean the same to everything behind: no NaN, no half characters, no NUL."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from latentsync.server.errors import ApiError

_SUSPICIOUS = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")


def read_json(body: bytes) -> Any:
    """Raises ApiError (400)."""
    try:
        text = body.decode("utf-8")
        value = json.loads(text, parse_constant=_refuse_constant)
        if _SUSPICIOUS.search(text) or "\0" in text:
            _check_text(value)
    except RecursionError:
        raise _no_json("it is nested too deeply") from None
    except ValueError as error:
        raise _no_json(str(error)) from None
    return value


def check_text(value: str, name: str) -> str:
    """Raises ApiError (422) for text that a file's name or a database cannot hold."""
    if "\0" in value:
        raise ApiError(422, "invalid", f"{name}: a NUL character; leave it out", name)
    return value


def _no_json(reason: str) -> ApiError:
    return ApiError(400, "invalid_json", f"the body is no JSON: {reason}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _check_text(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    text.encode("utf-8")  # a UnicodeEncodeError is a ValueError
    if "\\u0000" in text:
        raise ValueError("a NUL character")


class _StrictRequest(Request):
    async def json(self) -> Any:
        return read_json(await self.body())


class StrictRoute(APIRoute):
    """Reads its body strictly; 415 for a body that does not say that it is JSON: a form of another
    site's page cannot say so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if self.body_field is not None:
                demand_json(request)
            return await handle(_StrictRequest(request.scope, request.receive))

        return strict


def demand_json(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        message = f"Content-Type: {kind[:100] or 'missing'}; send application/json"
        raise ApiError(415, "wrong_type", message)
