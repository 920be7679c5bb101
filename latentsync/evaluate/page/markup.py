"""HTML and SVG from Python: whatever is not markup already is escaped."""

from __future__ import annotations

from html import escape

VOID = frozenset(("br", "col", "img", "input", "link", "meta"))
"""Elements of HTML without content and without an end tag."""


class Markup(str):
    """Text that is HTML already: nothing escapes it again."""

    __slots__ = ()


def element(tag: str, *children: str | None, **attributes: str | float | bool | None) -> Markup:
    """One element.

    children: text is escaped, Markup is not, None is left out. attributes: `class_` stands for
    class, `data_key` for data-key. None and False: left out; True: without a value.
    """
    opened = f"<{tag}{''.join(_attribute(*one) for one in attributes.items())}>"
    return Markup(opened if tag in VOID else f"{opened}{joined(*children)}</{tag}>")


def joined(*parts: str | None) -> Markup:
    """The parts one after the other; text is escaped, None is left out."""
    return Markup("".join(_safe(part) for part in parts if part is not None))


def _safe(text: str) -> str:
    return text if isinstance(text, Markup) else escape(text, quote=False)


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def section(name: str, title: str, *children: str | None) -> Markup:
    """A part of a page with its heading; name: by which a link finds it."""
    heading = element("h2", title, id=f"{name}-title")
    return element("section", heading, *children, id=name, aria_labelledby=f"{name}-title")
