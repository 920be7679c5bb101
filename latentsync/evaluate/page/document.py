"""The whole HTML file around a page's content: style, script, and what it is forbidden to do."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template

from latentsync.evaluate.page.markup import Markup

FOLDER = Path(__file__).parent


def document(title: str, body: Markup, *, script: str | None) -> str:
    """One self-contained page. script: name of a file in this folder; None: it needs none.

    The page may show pictures it brings along, and run this style and this script, known by their
    hashes; everything else is forbidden, requests included.
    """
    style, code = _read("page.css"), "" if script is None else _read(script)
    policy = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": _hash(style),
        "script-src": _hash(code),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return Template(_read("page.html")).substitute(
        policy="; ".join(f"{name} {what}" for name, what in policy.items()),
        title=escape(title),
        style=style,
        script=code,
        body=body,
    )


def _read(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")


def _hash(text: str) -> str:
    """As a policy names what stands between two tags."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode('ascii')}'"
