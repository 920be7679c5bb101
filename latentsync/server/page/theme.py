"""How the page looks: colours, sizes, style sheet and script. Nothing comes from elsewhere."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import gradio as gr
from gradio.themes.utils.sizes import Size

from latentsync.server.page.moving import comparison_head

_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Arial", "sans-serif"]
_TEXT = Size("14px", "14px", "15px", "16px", "18px", "22px", "28px", name="readable")
"""Nothing below 14 pixels."""


def looks() -> dict[str, Any]:
    """Arguments of gradio.mount_gradio_app."""
    theme = gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        text_size=_TEXT,
        font=_FONTS,
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    ).set(
        body_background_fill="#f7f7f5",
        body_background_fill_dark="#16181b",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1e2125",
        body_text_color_subdued="#555c64",
        body_text_color_subdued_dark="#a9afb6",
        block_label_text_color="#3d444c",
        block_label_text_color_dark="#c9ced4",
        block_label_text_size="15px",
        block_title_text_color="#3d444c",
        block_title_text_color_dark="#c9ced4",
        button_primary_background_fill="#1d5d93",
        button_primary_background_fill_hover="#174b78",
        button_primary_background_fill_dark="#8fbfe6",
        button_primary_background_fill_hover_dark="#b3d5f0",
        button_cancel_background_fill="#a8281f",
        button_cancel_background_fill_hover="#8a2019",
        button_cancel_text_color="#ffffff",
        button_cancel_background_fill_dark="#f2a49c",
        button_cancel_background_fill_hover_dark="#f6bdb7",
        button_cancel_text_color_dark="#2b100d",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#10202e",
    )
    head = f"{comparison_head()}<script>{_own('page.js')}</script>"
    return {"theme": theme, "css": _own("page.css"), "head": head}


def html(value: str = "", **more: Any) -> gr.HTML:
    """A piece of the page that only its own style sheet changes."""
    return gr.HTML(value, apply_default_css=False, padding=False, **more)


def _own(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
