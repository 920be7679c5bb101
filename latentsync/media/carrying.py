"""Adds the streams beside video and audio to an output, each in the way that was planned."""

from __future__ import annotations

from pathlib import Path

from av.container import InputContainer, OutputContainer
from av.stream import Disposition

from latentsync.media.cover import Cover
from latentsync.media.remux import PacketCopy, describe
from latentsync.media.streams import OtherPlan
from latentsync.media.track_boxes import show_subtitles


class Carrying:
    """The other streams of a source on their way into an output: add(), then start() once the
    header is written, and finish() at the end. Their packets come from the copy. Raises what
    add_stream raises.

    own_keys: whether the file is written with `use_metadata_tags`.
    """

    def __init__(
        self,
        source: InputContainer,
        copy: PacketCopy,
        output: OutputContainer,
        *,
        own_keys: bool,
    ) -> None:
        self._source, self._copy, self._output, self._own = source, copy, output, own_keys
        self._covers: list[Cover] = []
        self._shown: list[bool] = []  # of each of the subtitles

    def add(self, plan: OtherPlan) -> None:
        """Before the header is written."""
        other = plan.stream
        if plan.way in ("lost", "stated"):
            return
        if other.is_cover:
            self._covers.append(Cover(self._source, other.index, self._output, own_keys=self._own))
        elif other.kind == "attachment":
            template = self._source.streams[other.index]
            describe(self._output.add_stream_from_template(template), template)
        else:
            self._copy.add_stream(other.index, converts=plan.way == "converted")
            if other.kind == "subtitle":
                self._shown.append(bool(other.disposition & Disposition.default))

    def start(self) -> None:
        """Writes what is not part of the header, and has no time."""
        for cover in self._covers:
            cover.start()

    def finish(self, path: Path) -> None:
        """Writes what has its place in the finished file. Raises OSError."""
        for cover in self._covers:
            cover.finish(path)
        if self._shown and self._output.format.name in ("mp4", "mov"):
            show_subtitles(path, self._shown)
