"""The node that restores the mouth of a video."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from latentsync.comfy import choices, inputs
from latentsync.comfy.choices import Text
from latentsync.comfy.errors import in_one_line
from latentsync.comfy.lipsync import CATEGORY
from latentsync.comfy.outcome import summary


class LatentSyncRestore(io.ComfyNode):
    """Its id is kept for ever: saved workflows name it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LatentSyncRestore",
            display_name="LatentSync: restore mouth",
            category=CATEGORY,
            description=(
                "Restores the mouth of a lip-synced video where it is blurry, and nothing else. "
                "The video is read from its file; where nothing changes it is copied."
            ),
            inputs=[
                inputs.video("video", "The video whose mouth is blurry. Read from its file."),
                inputs.images(),
                inputs.video("reference", inputs.REFERENCE),
                inputs.restorer(),
                inputs.preset(),
                inputs.speaker(),
                *inputs.fetching(),
                *inputs.often(("restore.", "output.crf")),
                inputs.images_rate(),
                inputs.report(),
                inputs.settings(),
            ],
            outputs=inputs.outputs(),
        )

    @classmethod
    def validate_inputs(cls, settings: Text = None, restorer: Text = None) -> bool | str:
        return choices.verdict(settings=settings, restorer=restorer)

    @classmethod
    def fingerprint_inputs(cls, **given: Any) -> Any:
        return choices.fingerprint(given)

    @classmethod
    def execute(cls, **given: Any) -> io.NodeOutput:
        from latentsync.comfy import files, rendering  # they import the pipeline

        path, report = in_one_line(lambda: rendering.made(given, speaks=False))
        return io.NodeOutput(
            files.as_video(path), summary(report), ui=ui.PreviewVideo([files.shown(path)])
        )
