"""How many requests have been answered, with what, and how long that took: for /metrics."""

from __future__ import annotations

import time
from collections import Counter, defaultdict

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from latentsync.server.http.paths import is_api, path_of


class RequestCounts:
    """By method, route and status. Routes, not paths: their number does not grow."""

    def __init__(self) -> None:
        self.answered: Counter[tuple[str, str, int]] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)  # until the answer begins

    def text(self) -> str:
        lines = ["# TYPE latentsync_http_requests_total counter"]
        for (method, route, status), count in sorted(self.answered.items()):
            labels = f'method="{method}",route="{route}",status="{status}"'
            lines.append(f"latentsync_http_requests_total{{{labels}}} {count}")
        lines.append("# TYPE latentsync_http_seconds_total counter")
        for route, seconds in sorted(self.seconds.items()):
            lines.append(f'latentsync_http_seconds_total{{route="{route}"}} {seconds:.6f}')
        return "\n".join(lines) + "\n"


class CountRequests:
    def __init__(self, app: ASGIApp, counts: RequestCounts) -> None:
        self.app, self.counts = app, counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = _route(scope)
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self.counts.answered[method, route, message["status"]] += 1
                self.counts.seconds[route] += time.monotonic() - began
            await send(message)

        await self.app(scope, receive, counted)


_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")


def _route(scope: Scope) -> str:
    """/v1/jobs/{job_id}; one word for what has no route, and for the page."""
    found = getattr(scope.get("route"), "path", None)
    if isinstance(found, str):
        return found
    return "none" if is_api(path_of(scope)) else "page"
