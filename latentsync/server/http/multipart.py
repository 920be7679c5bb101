"""Reads a form with files as it comes in: never more than what one message brings is in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from latentsync.server.errors import ApiError

PARTS = 300
_HEADERS, _DATA, _END = "headers", "data", "end"


@dataclass(slots=True)
class Part:
    """One field of a form. filename: as the sender says it, of a file; None: of a plain value.
    The part has to be read before the next one is asked for; what is not read is left out."""

    name: str
    filename: str | None
    _form: _Form
    _read: bool = False

    async def chunks(self) -> AsyncIterator[bytes]:
        while (event := await self._form.next_event()) is not None:
            kind, data = event
            if kind == _END:
                self._read = True
                return
            yield data

    async def text(self, limit: int) -> str:
        """Raises ApiError (413) for more than ``limit`` bytes."""
        value = bytearray()
        async for chunk in self.chunks():
            value += chunk
            if len(value) > limit:
                message = f"{self.name} is longer than {limit} bytes; send less"
                raise ApiError(413, "too_large", message, self.name)
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            message = f"{self.name} is not UTF-8; send it so"
            raise ApiError(422, "invalid", message, self.name) from None

    async def skip(self) -> None:
        if not self._read:
            async for _ in self.chunks():
                pass


def is_form(request: Request) -> bool:
    return _kind(request)[0] == b"multipart/form-data"


async def parts(request: Request) -> AsyncIterator[Part]:
    """Raises ApiError: 400 for a form that cannot be read, 413 for too many parts."""
    boundary = _kind(request)[1].get(b"boundary")
    if not boundary:
        raise _unreadable("it names no boundary")
    form = _Form(request.stream(), boundary)
    for _ in range(PARTS):
        part = await form.next_part()
        if part is None:
            return
        yield part
        await part.skip()
    raise ApiError(413, "too_large", f"the form has more than {PARTS} parts; send fewer")


def _kind(request: Request) -> tuple[bytes, dict[bytes, bytes]]:
    return parse_options_header(request.headers.get("content-type"))


def _unreadable(reason: str) -> ApiError:
    return ApiError(400, "invalid_form", f"the form cannot be read: {reason}; send it again")


@dataclass(slots=True)
class _Headers:
    """Of the part at hand, as they come in."""

    found: dict[bytes, bytes] = field(default_factory=dict)
    name: bytes = b""
    value: bytes = b""

    def keep(self) -> None:
        self.found[self.name.lower()] = self.value
        self.name = self.value = b""


class _Form:
    """Turns what the parser calls back into events that can be awaited."""

    def __init__(self, stream: AsyncIterator[bytes], boundary: bytes) -> None:
        self._stream, self._headers = stream, _Headers()
        self._events: deque[tuple[str, bytes]] = deque()
        self._complete = False
        try:
            self._parser = MultipartParser(boundary, self._callbacks())
        except FormParserError as error:
            raise _unreadable(str(error)) from None

    def _callbacks(self):  # type: ignore[no-untyped-def]
        headers, events = self._headers, self._events

        def name(data: bytes, start: int, end: int) -> None:
            headers.name += data[start:end]

        def value(data: bytes, start: int, end: int) -> None:
            headers.value += data[start:end]

        def finished() -> None:
            events.append((_HEADERS, headers.found.pop(b"content-disposition", b"")))
            headers.found.clear()

        def complete() -> None:
            self._complete = True

        return {
            "on_header_field": name,
            "on_header_value": value,
            "on_header_end": headers.keep,
            "on_headers_finished": finished,
            "on_part_data": lambda data, start, end: events.append((_DATA, data[start:end])),
            "on_part_end": lambda: events.append((_END, b"")),
            "on_end": complete,
        }

    async def next_event(self) -> tuple[str, bytes] | None:
        """None: the form has ended. Raises ApiError for one that ends in the middle."""
        while not self._events:
            try:
                chunk = await anext(self._stream)
            except StopAsyncIteration:
                if not self._complete:
                    raise _unreadable("it ends in the middle") from None
                return None
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise _unreadable(str(error)) from None
        return self._events.popleft()

    async def next_part(self) -> Part | None:
        event = await self.next_event()
        if event is None:
            return None
        _, options = parse_options_header(event[1].decode("latin-1"))
        name, filename = options.get(b"name"), options.get(b"filename")
        if name is None:
            raise _unreadable("a part has no name")
        shown = None if filename is None else filename.decode("utf-8", "replace")
        return Part(name.decode("utf-8", "replace"), shown, self)
