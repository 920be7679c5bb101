"""The page and the API, until Ctrl-C.

python -m scripts.serve
LATENTSYNC_TOKEN=... python -m scripts.serve --listen 0.0.0.0
python -m scripts.serve --allow_folder /srv/videos --keep_hours 24
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import logging
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from latentsync.commands.console import DONE, INTERRUPTED, run
from latentsync.commands.server_flags import TOKEN, build_parser, root_path, settings_of
from latentsync.errors import ConfigError

if TYPE_CHECKING:
    from latentsync.server.settings import ServerSettings

_PACKAGES = {
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "python_multipart": "python-multipart",
    "sse_starlette": "sse-starlette",
}
"""What has to be importable -> what it is called when it is installed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. arguments: without the program's name; None: those of the process."""
    options = build_parser().read(sys.argv[1:] if arguments is None else arguments)
    return run(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    if options.overrides:
        raise ConfigError("not understood", " ".join(options.overrides), "see --help")
    _check_packages(page=not options.no_page)
    settings = settings_of(options)
    _check_access(settings)
    from latentsync.server.http.app import create_app
    from latentsync.server.http.listening import Proxy, bind, serve, url_of
    from latentsync.server.service import Service

    _log_lines()
    proxy = Proxy(root_path(options.root_path), options.trust_proxy)
    with bind(settings.host, settings.port) as listener:
        url = url_of(settings, listener.getsockname()[1], proxy)

        async def serving() -> int | None:
            app = create_app(Service(settings), settings)
            return await serve(app, listener, proxy, lambda: print(url, flush=True))

        ended_by = asyncio.run(serving())
    return INTERRUPTED if ended_by == signal.SIGINT else DONE


def _check_packages(page: bool) -> None:
    wanted = {**_PACKAGES, **({"gradio": "gradio (or pass --no_page)"} if page else {})}
    missing = [name for module, name in wanted.items() if importlib.util.find_spec(module) is None]
    if missing:
        remedy = "pip install '.[server]'"
        raise ConfigError("packages of the server are missing", ", ".join(missing), remedy)


def _check_access(settings: ServerSettings) -> None:
    """Nobody but this machine's users gets in without a token."""
    from latentsync.server.http.auth import SHORTEST_TOKEN
    from latentsync.server.http.listening import is_loopback

    if settings.token is not None and len(settings.token) < SHORTEST_TOKEN:
        remedy = f"use at least {SHORTEST_TOKEN}"
        raise ConfigError(TOKEN, f"{len(settings.token)} characters", remedy)
    if not settings.demands_token and not is_loopback(settings.host):
        remedy = f"set {TOKEN}, or pass --users FILE"
        raise ConfigError("without a token, other machines get in", settings.host, remedy)


def _log_lines() -> None:
    """With the time, and with tracebacks, as the log of a service has them."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
