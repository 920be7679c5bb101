"""Adds the streams beside video and audio to an output, each in the way that was planned."""

from __future__ import annotations

from av.container import InputContainer, OutputContainer

from latentsync.media.cover import Cover
from latentsync.media.remux import PacketCopy, describe
from latentsync.media.streams import OtherPlan


class Carrying:
    """The other streams of a source on their way into an output: add(), then start() once the
    header is written. Their packets come from the copy. Raises what add_stream raises."""

    def __init__(self, source: InputContainer, copy: PacketCopy, output: OutputContainer) -> None:
        self._source, self._copy, self._output = source, copy, output
        self._covers: list[Cover] = []

    def add(self, plan: OtherPlan) -> None:
        """Before the header is written."""
        other = plan.stream
        if plan.way in ("lost", "stated"):
            return
        if other.is_cover:
            self._covers.append(Cover(self._source, other.index, self._output))
        elif other.kind == "attachment":
            template = self._source.streams[other.index]
            describe(self._output.add_stream_from_template(template), template)
        else:
            self._copy.add_stream(other.index, converts=plan.way == "converted")

    def start(self) -> None:
        """Writes what is not part of the header, and has no time."""
        for cover in self._covers:
            cover.start()
