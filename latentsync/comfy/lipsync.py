"""The node that lip-syncs a video to new speech."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from latentsync.comfy import choices, inputs
from latentsync.comfy.choices import Text
from latentsync.comfy.errors import in_one_line
from latentsync.comfy.outcome import summary

CATEGORY = "LatentSync"


class LatentSyncLipSync(io.ComfyNode):
    """Its id is kept for ever: saved workflows name it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LatentSyncLipSync",
            display_name="LatentSync: lip-sync",
            category=CATEGORY,
            description=(
                "New mouth movements for new speech, restored where they are blurry. The video is "
                "read from its file and encoded once; all but the mouth stays as it is."
            ),
            inputs=[
                inputs.video("video", "The person who is to speak. Read from its file."),
                inputs.speech(),
                inputs.images(),
                inputs.video("reference", inputs.REFERENCE),
                inputs.speech_file(),
                inputs.generator(),
                inputs.restorer(),
                inputs.preset(),
                inputs.speaker(),
                *inputs.fetching(),
                *inputs.often(("generate.", "restore.", "output.")),
                inputs.images_rate(),
                inputs.report(),
                inputs.settings(),
            ],
            outputs=inputs.outputs(),
        )

    @classmethod
    def validate_inputs(
        cls,
        settings: Text = None,
        speech_file: Text = None,
        generator: Text = None,
        restorer: Text = None,
    ) -> bool | str:
        return choices.verdict(
            settings=settings, speech_file=speech_file, generator=generator, restorer=restorer
        )

    @classmethod
    def fingerprint_inputs(cls, **given: Any) -> Any:
        return choices.fingerprint(given)

    @classmethod
    def execute(cls, **given: Any) -> io.NodeOutput:
        from latentsync.comfy import files, rendering  # they import the pipeline

        path, report = in_one_line(lambda: rendering.made(given, speaks=True))
        return io.NodeOutput(
            files.as_video(path), summary(report), ui=ui.PreviewVideo([files.shown(path)])
        )
