"""Puts the page into an application."""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI

from latentsync.server.http.auth import current_user
from latentsync.server.page.flows import is_received, received_folder
from latentsync.server.service import Service
from latentsync.server.settings import ServerSettings

if TYPE_CHECKING:
    from gradio import Blocks

UPLOADS = "GRADIO_TEMP_DIR"
"""Where gradio writes what is uploaded, until the service has taken it."""

ANALYTICS = "GRADIO_ANALYTICS_ENABLED"
"""Whether gradio reports its use to its makers; read when it is imported."""

TABS = 1000
"""Whose drafts are kept; see layout.KEPT."""


def mount_page(app: FastAPI, service: Service, settings: ServerSettings) -> None:
    """Adds the page at "/". Its imports take seconds: call it in a thread, and enter the lifespan
    of app afterwards, in the event loop of the service."""
    _empty_uploads(received_folder(settings))
    os.environ[ANALYTICS] = "False"
    import gradio

    from latentsync.server.page.layout import page_of
    from latentsync.server.page.theme import looks

    blocks = page_of(service, settings)
    take_received_files_only(blocks, received_folder(settings))
    blocks.state_session_capacity = TABS
    blocks.queue(default_concurrency_limit=None, api_open=False)
    gradio.mount_gradio_app(
        app,
        blocks,
        path="/",
        auth_dependency=current_user,
        footer_links=[],
        run_history=False,
        max_file_size=settings.limits.upload,
        show_error=True,
        enable_monitoring=False,
        **looks(),
    )
    # A stream for each open tab, which would hold up the server's end; drafts expire by time.
    blocks.config["connect_heartbeat"] = False


def take_received_files_only(blocks: Blocks, folder: Path) -> None:
    """A request names a file that gradio has received, into that folder. Mounted, gradio would take
    any other file of this machine, and read any http URL, in its place."""
    for one in blocks.blocks.values():
        move = one.async_move_resource_to_block_cache
        checked = partial(_moved, move, folder)
        one.async_move_resource_to_block_cache = checked  # type: ignore[method-assign]


async def _moved(
    move: Callable[[str], Awaitable[str | None]], folder: Path, place: str
) -> str | None:
    if not is_received(Path(place), folder):
        raise ValueError("no file that was received")
    return await move(place)


def _empty_uploads(folder: Path) -> None:
    """On the disk of the users' folders, so that a file is taken by renaming it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[UPLOADS] = str(folder)
