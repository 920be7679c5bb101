"""The node that says how good a result is."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from latentsync.comfy import choices, inputs
from latentsync.comfy.choices import Text
from latentsync.comfy.errors import in_one_line
from latentsync.comfy.lipsync import CATEGORY


class LatentSyncJudge(io.ComfyNode):
    """Its id is kept for ever: saved workflows name it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LatentSyncJudge",
            display_name="LatentSync: judge",
            category=CATEGORY,
            description=(
                "How good a lip-synced or restored video is: sync, sharpness, edges and the rest "
                "of the frame, in words and in figures. docs/evaluation.md explains them."
            ),
            is_output_node=True,
            inputs=[
                inputs.video("result", "The finished video.", optional=False),
                inputs.video("source", "What it was made from: more can be measured with it."),
                inputs.speech(),
                inputs.speech_file(),
                inputs.speaker(),
                inputs.settings(),
            ],
            outputs=[
                io.String.Output("verdict", display_name="verdict", tooltip="In words."),
                io.String.Output(
                    "evaluation", display_name="evaluation", tooltip="All figures, as JSON."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, settings: Text = None, speech_file: Text = None) -> bool | str:
        return choices.verdict(settings=settings, speech_file=speech_file)

    @classmethod
    def fingerprint_inputs(cls, **given: Any) -> Any:
        return choices.fingerprint(given)

    @classmethod
    def execute(cls, **given: Any) -> io.NodeOutput:
        from latentsync.comfy import looking  # it imports the pipeline

        verdict, evaluation = in_one_line(lambda: looking.judged(given))
        return io.NodeOutput(verdict, evaluation, ui=ui.PreviewText(verdict))
