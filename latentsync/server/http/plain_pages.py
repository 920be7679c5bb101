"""The small pages that need no script: login, the list of routes, and what stands in for the page.

Everything is in the file itself: nothing is loaded, from here or from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi.responses import HTMLResponse

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
main.narrow { max-width: 24rem; margin: 15vh auto; }
input, button { font: inherit; padding: .5rem; width: 100%; box-sizing: border-box; }
button { margin-top: .75rem; cursor: pointer; }
code { font-family: ui-monospace, monospace; }
section { border-top: 1px solid #8886; padding: .5rem 0 1rem; overflow-x: auto; }
h3 { margin: .5rem 0; } h3 code { font-size: 1.05rem; }
td, th { text-align: left; vertical-align: top; padding: .15rem 1rem .15rem 0; }
.error { color: #b3261e; }
@media (prefers-color-scheme: dark) { .error { color: #ff8a80; } a { color: #8ab4f8; } }
"""
_CODE = re.compile(r"``(.+?)``")
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; "
    "img-src data:; frame-ancestors 'self'"
)


def page(
    title: str, body: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """body: HTML, with everything from outside escaped."""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body>{body}</body></html>"
    )
    return HTMLResponse(text, status, {**(headers or {}), "Content-Security-Policy": _POLICY})


def login_page(root: str, error: str = "", status: int = 200, wait: int | None = None) -> Any:
    """root: the prefix under which a proxy shows the server."""
    warning = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    body = (
        f'<main class="narrow"><h1>LatentSync</h1>{warning}'
        f'<form method="post" action="{escape(root)}/login"><label for="token">Token</label>'
        '<input id="token" name="token" type="password" required autofocus '
        'autocomplete="current-password"><button>Log in</button></form></main>'
    )
    return page("Log in", body, status, {"Retry-After": str(wait)} if wait else None)


def starting_page() -> HTMLResponse:
    body = (
        '<main class="narrow" role="status"><h1>LatentSync</h1><p>The page is starting …</p></main>'
    )
    return page("Starting", body, 503, {"Refresh": "1", "Retry-After": "1"})


def no_page(root: str, reason: str) -> HTMLResponse:
    body = (
        f'<main class="narrow"><h1>LatentSync</h1><p>{escape(reason)} '
        f'The API is here: <a href="{escape(root)}/docs">its routes</a>.</p></main>'
    )
    return page("LatentSync", body)


def docs_page(schema: Mapping[str, Any], root: str) -> HTMLResponse:
    """schema: the OpenAPI description, from which everything here is taken."""
    parts = [
        "<h1>API</h1><p>The description for programs (OpenAPI): "
        f'<a href="{escape(root)}/openapi.json">openapi.json</a>. '
        'Every error is <code>{"code", "message", "field"}</code>.</p>'
    ]
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(path, method, operation, schema))
    return page("API", f"<main>{''.join(parts)}</main>")


def _operation(
    path: str, method: str, operation: Mapping[str, Any], schema: Mapping[str, Any]
) -> str:
    words = escape(operation.get("description", operation.get("summary", "")))
    words = _CODE.sub(r"<code>\1</code>", words)
    rows: list[tuple[str, ...]] = [
        (p["name"], p["in"], _type(p["schema"]), p.get("description", ""))
        for p in operation.get("parameters", [])
    ]
    rows += _body(operation, schema)
    answers = ", ".join(code for code in operation["responses"] if code < "300")
    return (
        f"<section><h3><code>{method.upper()} {escape(path)}</code></h3><p>{words}</p>"
        f"{_table(rows)}<p>Answers {escape(answers)}.</p></section>"
    )


def _body(operation: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Name, place, type and description of each field of the body."""
    contents = operation.get("requestBody", {}).get("content", {})
    for kind, content in contents.items():
        body = content["schema"]
        if "$ref" in body:
            body = schema["components"]["schemas"][body["$ref"].rsplit("/", 1)[-1]]
        for name, field in body.get("properties", {"": body}).items():
            yield name, kind, _type(field), field.get("description", "")


def _type(field: Mapping[str, Any]) -> str:
    if "anyOf" in field:
        return ", ".join(_type(one) for one in field["anyOf"])
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    return str(field.get("format", field.get("type", "")))


def _table(rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    cells = "".join(
        f"<tr><td><code>{escape(row[0])}</code></td>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return f"<table><tr><th>name</th><th>where</th><th>type</th><th></th></tr>{cells}</table>"
