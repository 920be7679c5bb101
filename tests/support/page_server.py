"""A server with the page, in a thread of the tests; and a tab that remembers what went wrong."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import uvicorn

from latentsync.server.http.app import create_app
from latentsync.server.service import Service
from latentsync.server.settings import ServerSettings
from tests.support.browser import playwright

_OFFLINE = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
"""As the command sets it."""
_SECONDS = 60.0
"""In which the page is there: gradio's import takes a few."""


@contextmanager
def served(service: Service, settings: ServerSettings, port: int = 0) -> Iterator[str]:
    """The server's URL. port: 0: any."""
    with pytest.MonkeyPatch.context() as patched, socket.create_server(("127.0.0.1", port)) as door:
        for name, value in _OFFLINE.items():
            patched.setenv(name, value)
        app = create_app(service, settings)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]})
        thread.start()
        url = f"http://127.0.0.1:{door.getsockname()[1]}"
        try:
            _wait_for_page(url)
            yield url
        finally:
            server.should_exit = server.force_exit = True
            thread.join(_SECONDS)


def _wait_for_page(url: str) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        try:
            with urlopen(f"{url}/config") as answer:
                answer.read()
                return
        except URLError:
            time.sleep(0.05)
    pytest.fail("the page was not there in time")


class Tab:
    """A tab of a browser. wrong: errors of scripts, answers of 400 and more, requests elsewhere."""

    def __init__(self, context: playwright.BrowserContext, url: str) -> None:
        self.page, self.url, self.wrong = context.new_page(), url, list[str]()
        self.page.set_default_timeout(20_000)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda asked: self._asked(asked.url))
        self.page.on("response", lambda got: self._answered(got.status, got.url))

    def open(self, address: str = "") -> playwright.Page:
        self.page.goto(f"{self.url}/{address}")
        self.page.get_by_role("heading", name="Video and speech").wait_for()
        return self.page

    def _said(self, message: playwright.ConsoleMessage) -> None:
        if message.type == "error":
            self.wrong.append(message.text)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "blob:")):
            self.wrong.append(url)

    def _answered(self, status: int, url: str) -> None:
        if status >= 400:
            self.wrong.append(f"{status} {url}")
