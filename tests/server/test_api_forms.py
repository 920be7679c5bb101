"""A form with files is read as it comes in."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import Request

from latentsync.server.errors import ApiError
from latentsync.server.http.multipart import PARTS, parts

MIB = 1 << 20


def request_of(chunks: Iterator[bytes], boundary: str = "b") -> Request:
    async def receive() -> dict[str, Any]:
        chunk = next(chunks, None)
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    kind = f"multipart/form-data; boundary={boundary}".encode()
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind)]}
    return Request(scope, receive)


def form(*fields: tuple[str, bytes]) -> bytes:
    """fields: Content-Disposition after ``form-data;``, and the contents"""
    body = b"".join(
        f"--b\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in fields
    )
    return body + b"--b--\r\n"


async def read(request: Request) -> list[tuple[str, str | None, bytes]]:
    return [
        (part.name, part.filename, b"".join([chunk async for chunk in part.chunks()]))
        async for part in parts(request)
    ]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_form_is_the_same_however_it_is_cut(size: int) -> None:
    body = form(
        ('name="video"; filename="Grüße \\"1\\".mp4"', b"\r\n--b\r--" * 3), ('name="name"', b"x")
    )
    cut = (body[at : at + size] for at in range(0, len(body), size))
    assert asyncio.run(read(request_of(cut))) == [
        ("video", 'Grüße "1".mp4', b"\r\n--b\r--" * 3),
        ("name", None, b"x"),
    ]


def test_what_is_not_read_is_left_out() -> None:
    body = form(('name="a"; filename="a"', b"1" * 5000), ('name="b"', b"2"))

    async def names() -> list[str]:
        return [part.name async for part in parts(request_of(iter([body[:3000], body[3000:]])))]

    assert asyncio.run(names()) == ["a", "b"]


def test_a_large_file_is_never_in_memory() -> None:
    head, tail = form(('name="video"; filename="v"', b"\0")).split(b"\0")

    def chunks() -> Iterator[bytes]:
        yield head
        for _ in range(64):
            yield bytes(MIB)
        yield tail

    async def count() -> int:
        total = 0
        async for part in parts(request_of(chunks())):
            async for chunk in part.chunks():
                total += len(chunk)
        return total

    tracemalloc.start()
    assert asyncio.run(count()) == 64 * MIB
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * MIB


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form",
        form(('name="a"', b"1"))[:-6],
        form(('name="a"; filename="a"', b"1" * 100))[:80],
        form(("filename=a", b"1")),
        b"--b\r\nContent-Disposition: form-data; name=a\r\nX: " + b"y" * 100_000,
    ],
    ids=["empty", "other", "no end", "cut in a file", "no name", "long header"],
)
def test_a_form_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        asyncio.run(read(request_of(iter([body]))))
    assert (caught.value.status, caught.value.code) == (400, "invalid_form")


def test_a_form_of_very_many_parts_is_refused() -> None:
    body = form(*(('name="a"', b"1") for _ in range(PARTS + 1)))
    with pytest.raises(ApiError) as caught:
        asyncio.run(read(request_of(iter([body]))))
    assert caught.value.status == 413


def test_a_value_may_not_be_long_or_other_than_text() -> None:
    async def text(body: bytes) -> str:
        async for part in parts(request_of(iter([body]))):
            return await part.text(10)
        raise AssertionError("no part")

    assert asyncio.run(text(form(('name="a"', "grüße".encode())))) == "grüße"
    for content, status in ((b"x" * 11, 413), (b"\xff", 422)):
        with pytest.raises(ApiError) as caught:
            asyncio.run(text(form(('name="a"', content))))
        assert (caught.value.status, caught.value.field) == (status, "a")


def test_a_boundary_that_is_none_is_refused() -> None:
    for boundary in ("", "x" * 1000):
        with pytest.raises(ApiError, match="cannot be read"):
            asyncio.run(read(request_of(iter([b""]), boundary)))
