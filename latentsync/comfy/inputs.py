"""Inputs of the nodes, made of the settings: kind, choices, range, default and explanation."""

from __future__ import annotations

import inspect
from typing import Any

from comfy_api.latest import io

from latentsync.comfy import model_files
from latentsync.comfy.choices import (
    NO_PRESET,
    OFTEN,
    OWN,
    SETTINGS,
    UNSET,
    by_key,
    is_closed,
    is_text,
)
from latentsync.settings.described import Setting
from latentsync.settings.presets import PRESETS
from latentsync.settings.words import NAMES

_MODULE = " package.module:load: your own."
"""What the node does not offer."""
LARGEST = 2**53 - 1
"""A page's numbers are exact up to here."""
COSTLY = (
    "Frames in memory, in place of a video: for short clips only. They take about 25 MB each at "
    "1080p, where a video from a file takes none, and are encoded once more."
)


REFERENCE = (
    "The original video of the person: it says how sharp the mouth is to be, and Self is fitted to "
    "it. With new speech that is the video itself, if nothing is connected."
)


def video(name: str, about: str, *, optional: bool = True) -> io.Input:
    return io.Video.Input(name, optional=optional, tooltip=about)


def images() -> io.Input:
    """Frames in place of a video."""
    return io.Image.Input("images", optional=True, tooltip=COSTLY)


def images_rate() -> io.Input:
    about = "Frame rate of the images; of no meaning for a video."
    return io.Float.Input(
        "images_fps",
        default=25.0,
        min=1.0,
        max=240.0,
        step=0.001,
        optional=True,
        tooltip=about,
        **_more(io.Float),
    )


def speech() -> io.Input:
    about = "The speech that the lips follow. Or name a file in speech_file."
    return io.Audio.Input("speech", optional=True, tooltip=about)


def speech_file() -> io.Input:
    about = (
        "The speech as a file, audio or video: a whole path, or a name in ComfyUI's input folder. "
        "Leave it empty where AUDIO is connected."
    )
    return io.String.Input("speech_file", default=UNSET, optional=True, tooltip=about)


def generator() -> io.Input:
    about = (
        "What makes the new mouth. auto: the first of the others whose weights are here. replay "
        "takes the video's own mouths in a new order and needs no weights."
    )
    return io.Combo.Input(
        "generator",
        options=model_files.generator_options(),
        default=model_files.AUTO,
        optional=True,
        tooltip=about + model_files.weights_note(model_files.generators()),
    )


def restorer() -> io.Input:
    about = _about("restore.name").replace(_MODULE, "")
    return io.Combo.Input(
        "restorer",
        options=model_files.restorer_options(),
        default="Detail",
        optional=True,
        tooltip=about + model_files.weights_note(model_files.RESTORERS),
    )


def preset() -> io.Input:
    about = (
        "Quality against time in one word: sets several of the inputs below, and others, at once. "
        "An input that you change yourself wins."
    )
    return io.Combo.Input(
        "preset", options=[*PRESETS], default=NO_PRESET, optional=True, tooltip=about
    )


def speaker() -> io.Input:
    return io.String.Input("speaker", default=UNSET, optional=True, tooltip=_about("face.speaker"))


def often(beginnings: tuple[str, ...]) -> list[io.Input]:
    """Those settings of OFTEN whose keys begin so, folded away where ComfyUI can."""
    return [_of(by_key()[key]) for key in OFTEN if key.startswith(beginnings)]


def settings() -> io.Input:
    keys = ", ".join(key for key in by_key() if key not in OWN and not is_closed(key))
    about = f"Other settings, a line key=value for each; configs/demo.yaml explains them. {keys}"
    return io.String.Input(
        SETTINGS,
        default=UNSET,
        multiline=True,
        optional=True,
        placeholder="face.occlusion=off",
        tooltip=about,
        **_more(io.String),
    )


def fetching() -> list[io.Input]:
    """The user's consent, off by default."""
    fetch = "Fetch weights that are missing, before the run: the options say how much that is."
    accept = "I have read the licence of the weights that I chose, and it allows my use:\n"
    return [
        io.Boolean.Input("fetch_weights", default=False, optional=True, tooltip=fetch),
        io.Boolean.Input(
            "accept_licences",
            default=False,
            optional=True,
            tooltip=accept + model_files.licences_note(),
        ),
    ]


def report() -> io.Input:
    about = "Also write the report beside the result, which lies in ComfyUI's temp folder."
    return io.Boolean.Input(
        "report", default=False, optional=True, tooltip=about, **_more(io.Boolean)
    )


def outputs() -> list[io.Output]:
    """Of the nodes that make a video."""
    about = "What was done, to how many frames and why, as JSON."
    return [
        io.Video.Output("result", display_name="result"),
        io.String.Output("summary", display_name="summary", tooltip=about),
    ]


def _of(setting: Setting) -> io.Input:
    about: dict[str, Any] = {
        "display_name": NAMES[setting.key],
        "tooltip": _about(setting.key),
        "optional": True,
    }
    name, default = OWN[setting.key], setting.default
    if is_text(setting):
        text = UNSET if default is None else str(default)
        return io.String.Input(name, default=text, **about, **_more(io.String))
    if setting.kind == "choice":
        options = [*setting.choices]
        return io.Combo.Input(name, options=options, default=default, **about, **_more(io.Combo))
    if setting.kind == "bool":
        return io.Boolean.Input(name, default=default, **about, **_more(io.Boolean))
    ends = {"min": setting.low, "max": setting.high}
    if setting.kind == "int":
        whole = {k: min(int(v), LARGEST) for k, v in ends.items() if v is not None}
        return io.Int.Input(name, default=default, **whole, **about, **_more(io.Int))
    return io.Float.Input(name, default=default, step=0.01, **ends, **about, **_more(io.Float))


def _about(key: str) -> str:
    """What a setting does. In a node "none" is an input that is left empty."""
    return by_key()[key].about.replace("null:", "Empty:")


def _more(kind: Any) -> dict[str, Any]:
    """Folds an input away, in versions of ComfyUI that know that."""
    known = inspect.signature(kind.Input.__init__).parameters
    return {"advanced": True} if "advanced" in known else {}
