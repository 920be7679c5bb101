"""How an error becomes an answer: always ``{"code", "message", "field"}``, in every place."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from reprlib import Repr
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from latentsync.errors import LatentSyncError
from latentsync.server.errors import ApiError
from latentsync.server.views import ErrorView

logger = logging.getLogger(__name__)

INTERNAL = ApiError(500, "internal", "something went wrong here; the server's log says what")
_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "wrong_type",
}
_shown = Repr()
_shown.maxstring = _shown.maxother = 80


def answer(error: ApiError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    given = dict(headers or {})
    if error.retry_after is not None:
        given["Retry-After"] = str(error.retry_after)
    view = ErrorView(error.code, error.message, error.field)
    return JSONResponse(asdict(view), error.status, headers=given)


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the description of the API says of errors, for ``responses=``."""
    return {
        status: {"model": ErrorView, "description": HTTPStatus(status).phrase}
        for status in statuses
    }


def invalid(error: ValidationError | RequestValidationError) -> ApiError:
    """The first thing that is wrong, as what, the value, and what it should be."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    if path and path[0] in ("body", "query", "path", "header"):
        path = path[1:]
    if first["type"] == "json_invalid":
        return ApiError(400, "invalid_json", f"the body is no JSON: {first['ctx']['error']}")
    name = ".".join(path) or None
    reason = first["msg"][:1].lower() + first["msg"][1:]
    if first["type"] == "missing":
        return ApiError(422, "invalid", f"{name or 'the body'} is missing; give it", name)
    message = f"{name or 'the body'}: {_shown.repr(first['input'])}; {reason}"
    return ApiError(422, "invalid", message, name)


def as_api_error(error: Exception) -> ApiError:
    """The answer for an error of any kind."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException):
        if isinstance(error.__cause__, ApiError):  # raised while FastAPI read the body
            return error.__cause__
        words = f"{HTTPStatus(error.status_code).phrase.lower()}; /docs lists what there is"
        return ApiError(error.status_code, _CODES.get(error.status_code, "refused"), words)
    if isinstance(error, (ValidationError, RequestValidationError)):
        return invalid(error)
    if isinstance(error, LatentSyncError):
        return ApiError(422, "invalid", str(error))
    return INTERNAL


def answer_errors(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Every error that a route raises is answered by ``as_api_error``. routes: all of the app."""

    async def handle(request: Request, error: Exception) -> JSONResponse:
        headers = dict(getattr(error, "headers", None) or {})
        if "Allow" in headers:  # of the first route that has the path
            headers["Allow"] = ", ".join(_methods(routes, request.scope))
        return answer(as_api_error(error), headers)

    for kind in (HTTPException, RequestValidationError, ValidationError, LatentSyncError):
        app.add_exception_handler(kind, handle)


def _methods(routes: Sequence[BaseRoute], scope: Scope) -> list[str]:
    """Of all routes that have the path."""
    found = {
        method
        for route in routes
        if isinstance(route, Route) and route.matches(scope)[0] != Match.NONE
        for method in route.methods or ()
    }
    return sorted(found)


class LastResort:
    """Answers what nobody expected with 500; the traceback goes to the log, and only there."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except (
            Exception
        ):  # whatever it is: a client waits for an answer, and the log has the reason
            if scope["type"] != "http":
                raise
            logger.exception("%s %s failed", scope["method"], scope["path"])
            if not started:
                await answer(INTERNAL)(scope, receive, send)
