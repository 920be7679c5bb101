"""How much of a body is read, and how long it may take, whatever its headers claim."""

from __future__ import annotations

import asyncio
import time
from typing import NoReturn

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from latentsync.server.errors import ApiError
from latentsync.server.http.answers import answer
from latentsync.server.http.paths import JOBS, PAGE_UPLOAD, UPLOADS, path_of
from latentsync.server.settings import Limits, ServerSettings

FILES_OF_JOB = 3
"""video, audio, reference"""
SLOWEST = 1024
"""bytes/s that a body has to come at, once it has taken twice the time that a byte may take"""


class BodyLimit:
    """Answers 413 to a body that is too large, and 408 to one that does not come."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self.app, self.limits = app, settings.limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(receive, send, limit_of(scope, self.limits), self.limits.upload_seconds)
        claimed = Headers(scope=scope).get("content-length", "0")
        if claimed.isdecimal() and int(claimed[:20]) > body.limit:
            body.refused = body.too_large()
        else:
            try:
                await self.app(scope, body.receive, body.send)
            except Exception:  # of a route whose body ended early, which is answered below
                if body.refused is None:
                    raise
        if body.refused is not None and not body.started:
            await answer(body.refused, {"Connection": "close"})(scope, receive, send)


def limit_of(scope: Scope, limits: Limits) -> int:
    """bytes of the whole body"""
    path = path_of(scope)
    below = path.startswith(f"{UPLOADS}/")
    if path in (UPLOADS, PAGE_UPLOAD) or (below and scope["method"] == "PUT"):
        return limits.upload + limits.body
    kind = Headers(scope=scope).get("content-type", "")
    is_job = path == JOBS or (path.startswith(f"{JOBS}/") and scope["method"] == "PUT")
    if is_job and kind.lower().startswith("multipart/form-data"):
        return FILES_OF_JOB * limits.upload + limits.body
    return limits.body


class _Body:
    """The two ends of a request, one watched for what comes, the other silent after a refusal."""

    def __init__(self, receive: Receive, send: Send, limit: int, seconds: float) -> None:
        self._receive, self._send = receive, send
        self.limit, self.seconds = limit, seconds
        self.seen, self.waited = 0, 0.0
        self.complete = self.started = False
        self.refused: ApiError | None = None

    def too_large(self) -> ApiError:
        message = f"the body is larger than {self.limit} bytes; send less"
        return ApiError(413, "too_large", message)

    async def receive(self) -> Message:
        if self.complete:
            return await self._receive()
        began = time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), self.seconds)
        except TimeoutError:
            self._refuse_slow()
        self.waited += time.monotonic() - began
        if message["type"] == "http.request":
            self.seen += len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
        if self.seen > self.limit:
            self._refuse(self.too_large())
        if self.waited > 2 * self.seconds and self.seen < SLOWEST * self.waited:
            self._refuse_slow()
        return message

    async def send(self, message: Message) -> None:
        if self.refused is None:
            self.started = True
            await self._send(message)

    def _refuse_slow(self) -> NoReturn:
        message = f"the body did not come within {self.seconds:g} seconds; send it again"
        self._refuse(ApiError(408, "too_slow", message))

    def _refuse(self, error: ApiError) -> NoReturn:
        self.refused = error
        raise HTTPException(error.status) from error
