"""HTTP requests for a file from any byte on, by the standard library, which handles proxies,
redirects and certificates. Errors are transient or permanent."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import re
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

USER_AGENT = "latentsync-restore"
SCHEMES = ("http", "https")
BLOCK = 1 << 18  # bytes read at once, at most
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses that are worth a retry
PERMANENT = (ssl.SSLCertVerificationError, http.client.InvalidURL, ValueError, str)
UNREACHABLE = (ConnectionRefusedError, socket.gaierror)  # permanent unless it responded before


class PermanentError(Exception):
    """A retry would not help."""


class UnreachableError(PermanentError):
    """The host cannot be reached: its other files cannot be had either."""


class TransientError(Exception):
    """A retry may help. wait: seconds that the server asks for."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why, wait)
        self.why, self.wait = why, wait

    def __str__(self) -> str:
        return self.why


@dataclass(slots=True)
class Request:
    """headers: for the host of `url` only. stall: timeout in seconds without any byte. answered:
    whether the host sent anything."""

    url: str
    headers: Mapping[str, str]
    stall: float
    answered: bool = field(default=False, init=False)

    @contextlib.contextmanager
    def open(self, start: int) -> Iterator[Answer]:
        """Requests the file from byte `start` on, if the server supports that. It, and reading the
        response, raise PermanentError or TransientError."""
        part = {"Range": f"bytes={start}-"} if start else {}
        headers = {**self.headers, "User-Agent": USER_AGENT, **part}
        with self._reply(headers) as response:
            self.answered = True
            yield Answer(self, response)

    def _reply(self, headers: dict[str, str]) -> http.client.HTTPResponse:
        opener = urllib.request.build_opener(_Redirects(tuple(self.headers)))
        try:
            asked = urllib.request.Request(self.url, headers=headers)
            reply = opener.open(asked, timeout=self.stall)
        except HTTPError as error:
            if error.code == 416:
                return cast(http.client.HTTPResponse, error)
            error.close()
            why = f"HTTP {error.code} {error.reason}"
            if error.code in TRANSIENT:
                raise TransientError(why, _retry_after(error.headers.get("Retry-After"))) from None
            raise PermanentError(why) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self.explained(error) from None
        return cast(http.client.HTTPResponse, reply)

    def explained(self, error: Exception) -> Exception:
        """Converts a network error to TransientError or PermanentError."""
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, TimeoutError):
            return TransientError(f"no byte for {self.stall:g} seconds")
        why = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        if isinstance(cause, UNREACHABLE) and not self.answered:
            return UnreachableError(why)
        if isinstance(cause, PERMANENT):
            return PermanentError(why)
        return TransientError(why)


class Answer:
    """first: first byte; None: the file ends before the requested one. total: bytes of the whole
    file, if the server sends that."""

    def __init__(self, request: Request, response: http.client.HTTPResponse) -> None:
        self._request, self._response = request, response
        content_range = response.headers.get("Content-Range", "")
        span = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", content_range.strip())
        if response.status == 200:
            self.first: int | None = 0
            self.total = _number(response.headers.get("Content-Length"))
        else:
            self.first = _number(span[1]) if span and response.status == 206 else None
            self.total = _number(span[2]) if span else None

    def blocks(self) -> Iterator[bytes]:
        """Blocks as they arrive, until the connection ends, early or not."""
        while True:
            try:
                block = self._response.read1(BLOCK)
            except (OSError, http.client.HTTPException) as error:
                raise self._request.explained(error) from None
            if not block:
                return
            yield block


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Removes private headers, such as a token, from redirects to another host."""

    def __init__(self, private: tuple[str, ...]) -> None:
        self._private = private

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:
        onward = super().redirect_request(req, fp, code, msg, headers, newurl)
        here, there = urlsplit(req.full_url), urlsplit(newurl)
        if there.scheme not in SCHEMES:
            raise PermanentError(f"it redirects to {newurl}")
        if onward is not None and here[:2] != there[:2]:
            for name in self._private:
                onward.remove_header(name.capitalize())
        return onward


def _number(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdecimal() else None


def _retry_after(text: str | None) -> float | None:
    """Seconds; the header holds them, or a date."""
    seconds = _number(text)
    if seconds is not None or not text:
        return seconds
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except ValueError:
        return None
