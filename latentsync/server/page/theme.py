"""How the page looks: its colours and sizes, its style sheet and its script; nothing from elsewhere."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import gradio as gr
from gradio.themes.sizes import Size

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
        block_label_text_size="15px",
        button_primary_background_fill="#1d5d93",
        button_primary_background_fill_hover="#174b78",
        button_primary_background_fill_dark="#8fbfe6",
        button_primary_background_fill_hover_dark="#b3d5f0",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#10202e",
    )
    script = f"<script>{_own('page.js')}</script>"
    return {"theme": theme, "css": _own("page.css"), "head": script}


def _own(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
