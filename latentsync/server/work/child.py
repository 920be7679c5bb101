"""The engine's process: holds models, works on jobs, answers requests, and ends with its parent."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any

import cv2
import torch

from latentsync.runtime.device import thread_count
from latentsync.server.files.folders import ServerFiles
from latentsync.server.settings import ServerSettings
from latentsync.server.work.asked import Answering, Answers, Send
from latentsync.server.work.estimates import estimate_of_request
from latentsync.server.work.fetches import fetch_of_request, proxy_of_request
from latentsync.server.work.here import Here
from latentsync.server.work.messages import (
    ESTIMATE,
    FETCH,
    PEOPLE,
    PREVIEW,
    PROXY,
    Cancel,
    End,
    Request,
    Wake,
)
from latentsync.server.work.people import people_of_request
from latentsync.server.work.previews import preview_of_request
from latentsync.server.work.working import Working

logger = logging.getLogger(__name__)

PREVIEWS = 2
"""At once: one may wait for the first look at a long video."""
LOOK = 0.5
"""Seconds between two looks whether all has ended."""
BEHIND = 5
"""Steps of the process's priority below the server's."""
LAST = 10.0
"""Seconds that threads get to end by themselves."""
_PACKAGES = ("latentsync", "GFPGAN", "CodeFormer")


def main(settings: ServerSettings, connection: Connection) -> None:
    """Until it is told to end, or the parent is gone."""
    _own_process()
    child = _Child(settings, connection)
    signal.signal(signal.SIGTERM, lambda *_: child.drain())
    child.listen()
    child.leave()


class _Child:
    """The main thread listens, so that an end is heard whatever is worked on."""

    def __init__(self, settings: ServerSettings, connection: Connection) -> None:
        self._connection, self._sending = connection, threading.Lock()
        public = ServerFiles(settings.root).public
        self._here = here = Here(settings.offline, public)
        self._working = Working(settings.jobs, here)
        self._answering = answering(here, self._send)
        self._working.start()
        for one in self._answering:
            one.start()

    def listen(self) -> None:
        try:
            while self._working.is_alive():
                if wait([self._connection], LOOK):
                    self._take(self._connection.recv())
        except (EOFError, OSError):  # the parent is gone
            self._end()

    def leave(self) -> None:
        """Ends the process where a thread does not end by itself."""
        if not all(one.ended(LAST / 10) for one in self._answering):  # in the middle of a network
            sys.stderr.flush()
            os._exit(0)

    def drain(self) -> None:
        """The task at hand is finished, then the process ends."""
        for one in self._answering:
            one.end()
        self._here.turn.end()
        self._working.end(finish=True)

    def _take(self, message: Any) -> None:
        if isinstance(message, Request):
            next(one for one in self._answering if one.takes(message.kind)).put(message)
        elif isinstance(message, Cancel):
            for one in self._answering:
                one.cancel(message.number)
        elif isinstance(message, Wake):
            self._working.wake()
        elif isinstance(message, End):
            self.drain() if message.finish else self._end()

    def _end(self) -> None:
        """Now: the task at hand is given back."""
        self.drain()
        self._working.end(finish=False)
        self._working.join(LAST)

    def _send(self, message: Any) -> None:
        with self._sending:
            try:
                self._connection.send(message)
            except OSError as error:  # the main thread notices, too
                logger.debug("the parent is gone: %s", error)


def answering(here: Here, send: Send) -> list[Answering]:
    """Who answers what. Looking at a whole video, which may take minutes, waits for previews."""
    previews = {PREVIEW: partial(preview_of_request, here=here)}
    looking = {
        PEOPLE: partial(people_of_request, here=here),
        ESTIMATE: partial(estimate_of_request, here=here),
    }
    fetching: Answers = {FETCH: partial(fetch_of_request, here=here), PROXY: proxy_of_request}
    return [
        Answering(PREVIEW, previews, send, count=PREVIEWS),
        Answering("looking", looking, send, here.turn.let_go),
        Answering("fetching", fetching, send),
    ]


def _own_process() -> None:
    """The process is this package's alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: it is the parent that ends it
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    for package in _PACKAGES:
        logging.getLogger(package).setLevel(logging.INFO)  # for the logs of jobs
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.WARNING)
    if hasattr(os, "nice"):
        os.nice(BEHIND)  # the server answers while all cores are at work
    torch.set_num_threads(thread_count(0))
    cv2.setNumThreads(1)
