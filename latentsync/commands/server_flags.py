"""The flags of the server's command, and the settings that they make."""

from __future__ import annotations

import argparse
import math
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentsync import __version__
from latentsync.commands.console import Parser
from latentsync.errors import ConfigError
from latentsync.places import command

if TYPE_CHECKING:
    from latentsync.server.settings import ServerSettings

TOKEN, WEBHOOK_SECRET = "LATENTSYNC_TOKEN", "LATENTSYNC_WEBHOOK_SECRET"
"""Environment variables."""
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def build_parser() -> Parser:
    parser = Parser(
        prog=command("serve"),
        description="A page for browsers and an API for programs, on this machine only unless "
        "told otherwise. See docs/server.md.",
        epilog=f"Environment: {TOKEN}, the token that every request has to show; "
        f"{WEBHOOK_SECRET}, with which webhooks are signed.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"latentsync {__version__}")
    add(
        "--listen",
        "--host",
        dest="host",
        metavar="ADDRESS",
        help="address to listen on, default 127.0.0.1; 0.0.0.0: all of this machine. Any but this "
        f"machine's own needs {TOKEN} or --users",
    )
    add("--port", type=int, metavar="N", help="default 7860; 0: any that is free")
    add("--users", metavar="FILE", help="YAML with a line for each user: NAME: TOKEN")
    add("--no_page", action="store_true", help="the API only, without gradio")
    add("--device", metavar="NAME", help="auto (default: the fastest), cpu, cuda or mps")
    add("--offline", action="store_true", help="fetch no weights, and no videos from addresses")
    add(
        "--allow_folder",
        action="append",
        default=[],
        metavar="DIR",
        help="folder whose files a request may name by path; may be given several times",
    )
    _add_keeping(parser)
    _add_limits(parser)
    _add_proxy(parser)
    return parser


def _add_keeping(parser: Parser) -> None:
    add = parser.add_argument_group("what is kept").add_argument
    add(
        "--state_dir",
        metavar="DIR",
        help="folder for uploads, jobs and results; default: the user's state folder, server/",
    )
    add(
        "--keep_hours",
        type=float,
        metavar="H",
        help="how long the files of a job that has ended are kept, default 168; 0: for ever",
    )
    add(
        "--keep_free",
        type=_size,
        metavar="SIZE",
        help="space that stays free on the disk, default 2G",
    )


def _add_limits(parser: Parser) -> None:
    add = parser.add_argument_group("limits").add_argument
    add("--max_upload", type=_size, metavar="SIZE", help="of a file, such as 500M; default 8G")
    add("--max_minutes", type=float, metavar="N", help="of a video or of speech, default 240")
    add("--max_pixels", type=int, metavar="N", help="of a frame, default 35389440 (8192 x 4320)")
    add("--max_queue", type=int, metavar="N", help="unfinished jobs, default 200")
    add("--max_queue_of_user", type=int, metavar="N", help="of one user, default 50")
    add(
        "--max_uploads",
        type=int,
        metavar="N",
        help="files of one user that no unfinished job uses, default 200",
    )


def _add_proxy(parser: Parser) -> None:
    add = parser.add_argument_group("behind a proxy").add_argument
    add(
        "--host_name",
        action="append",
        default=[],
        metavar="NAME",
        help="name under which the server is reached, beside its address; may be given several "
        "times. Requests for other names are refused",
    )
    add("--root_path", default="", metavar="PATH", help="prefix that the proxy takes from paths")
    add(
        "--trust_proxy",
        metavar="ADDRESSES",
        help="addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto count, with commas",
    )


def settings_of(options: argparse.Namespace) -> ServerSettings:
    """What is not given stays as ServerSettings has it. Raises ConfigError."""
    from latentsync.server.settings import ServerSettings

    defaults = ServerSettings()
    minutes = options.max_minutes
    limits = _given(
        upload=options.max_upload,
        seconds=None if minutes is None else _positive("--max_minutes", minutes) * 60,
        pixels=_positive("--max_pixels", options.max_pixels),
        queue=_positive("--max_queue", options.max_queue),
        queue_of_user=_positive("--max_queue_of_user", options.max_queue_of_user),
        uploads=_positive("--max_uploads", options.max_uploads),
        disk=options.keep_free,
    )
    if options.keep_hours is not None and not 0 <= options.keep_hours < math.inf:
        raise ConfigError("--keep_hours", options.keep_hours, "give 0 or more")
    if options.port is not None and not 0 <= options.port < 1 << 16:
        raise ConfigError("--port", options.port, "give 0 to 65535")
    given = _given(
        host=options.host,
        port=options.port,
        root=_path(options.state_dir),
        users=_path(options.users),
        keep_hours=options.keep_hours,
        device=options.device,
        token=os.environ.get(TOKEN) or None,
        webhook_secret=os.environ.get(WEBHOOK_SECRET) or None,
    )
    return replace(
        defaults,
        **given,
        folders=tuple(_folder(text) for text in options.allow_folder),
        hosts=tuple(options.host_name),
        offline=options.offline,
        page=not options.no_page,
        limits=replace(defaults.limits, **limits),
    )


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _positive(flag: str, value: Any) -> Any:
    if value is not None and not 0 < value < math.inf:
        raise ConfigError(flag, value, "give more than 0")
    return value


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text).expanduser().resolve()


def _folder(text: str) -> Path:
    folder = Path(text).expanduser().resolve()
    if not folder.is_dir():
        raise ConfigError("--allow_folder", text, "it is no folder; name one that exists")
    return folder


def root_path(text: str) -> str:
    """/dub of dub/"""
    path = text.strip("/")
    return f"/{path}" if path else ""


def _size(text: str) -> int:
    """bytes of 500M, 8G or 1048576"""
    found = re.fullmatch(r"(\d{1,15})([kmgt]?)(?:i?b)?", text.lower())
    if found is None or not int(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write it as 500M or 8G")
    return int(found[1]) * _UNITS[found[2]]
