"""The node that shows who is seen in a video, for choosing a speaker."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from latentsync.comfy import choices, inputs
from latentsync.comfy.choices import Text
from latentsync.comfy.errors import in_one_line
from latentsync.comfy.lipsync import CATEGORY


class LatentSyncPeople(io.ComfyNode):
    """Its id is kept for ever: saved workflows name it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LatentSyncPeople",
            display_name="LatentSync: people in the video",
            category=CATEGORY,
            description=(
                "Who is seen in the video, when, and who speaks. Put a person's number into the "
                "input speaker of the other nodes."
            ),
            is_output_node=True,
            inputs=[
                inputs.video("video", "Read from its file.", optional=False),
                inputs.settings(),
            ],
            outputs=[
                io.Image.Output("sheet", display_name="contact sheet"),
                io.String.Output(
                    "people", display_name="people", tooltip="A table: number, place and times."
                ),
                io.Int.Output("count", display_name="count", tooltip="How many people there are."),
            ],
        )

    @classmethod
    def validate_inputs(cls, settings: Text = None) -> bool | str:
        return choices.verdict(settings=settings)

    @classmethod
    def execute(cls, **given: Any) -> io.NodeOutput:
        from latentsync.comfy import looking  # it imports the pipeline

        sheet, lines, count = in_one_line(lambda: looking.people_of(given))
        return io.NodeOutput(sheet, lines, count, ui=ui.PreviewImage(sheet, cls=cls))
