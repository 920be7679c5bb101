"""What each container keeps of a video, found by writing and reading it.

``python -m tests.support.container_table`` writes the table of docs/containers.md.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
from av.stream import Disposition

from latentsync.media.marks.marking import XMP, Marking, place_in, read_marks
from latentsync.media.marks.words import Done
from latentsync.media.probe import VideoInfo, probe
from latentsync.media.reader import VideoReader
from latentsync.media.streams import OtherStream
from latentsync.media.writer import VideoWriter
from tests.support import rich_files
from tests.support.copying import QUICK

DOCUMENT = Path(__file__).parents[2] / "docs" / "containers.md"
CONTAINERS = (".mp4", ".mov", ".mkv", ".webm")
KEPT, NAMED, LOST = "kept", "named", "lost without a word"
FIRST, LAST = "<!-- made by tests/support/container_table.py -->\n", "<!-- end -->\n"

_CODECS = {"subrip": "SubRip", "mov_text": "MOV text", "webvtt": "WebVTT", "aac": "AAC"}
_CODECS |= {"opus": "Opus"}


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """A video and its copy. notes: what was said of what is not kept."""

    source: VideoInfo
    made: VideoInfo
    notes: str


def written(source: Path, target: Path) -> Written:
    """Encodes the frames as they are; no marks are made, the source's are kept."""
    reader = VideoReader(source)
    info = reader.info
    marking = Marking(read_marks(info), info.file_metadata, place=place_in(target), make=False)
    info = replace(info, file_metadata=marking.planned(Done()))

    def finish(path: Path) -> None:
        marking.finish(path, planned=Done(), done=Done())

    settings = replace(QUICK, codec="auto")
    with VideoWriter(target, info, settings, finishers=[finish]) as writer:
        for frame in reader:
            writer.write(frame)
    notes = [*writer.notes, *marking.notes(signed=False)]
    return Written(reader.info, probe(target), "\n".join(notes))


def _other(info: VideoInfo, kind: str) -> OtherStream | None:
    found = (one for one in info.others if (one.kind, one.is_cover) == (kind, kind == "video"))
    return next(found, None)


def _fate_of(kind: str, equal: Callable[[Written], bool]) -> Callable[[Written], str]:
    """Of another stream of that kind. equal: whether what is in it is kept."""

    def fate(one: Written) -> str:
        old, new = _other(one.source, kind), _other(one.made, kind)
        assert old is not None
        if new is None or not equal(one):
            return NAMED if f"not kept: {old}" in one.notes or f", {old}" in one.notes else LOST
        if new.codec == old.codec:
            return KEPT
        name = _CODECS[new.codec]
        return f"as {name}" if f"converted to {new.codec}" in one.notes else LOST

    return fate


def _packets(info: VideoInfo, kind: str) -> list[tuple[float, bytes]]:
    """Seconds and payload, of the stream of that kind."""
    stream = _other(info, kind)
    assert stream is not None
    with av.open(str(info.path)) as container:
        packets = list(container.demux(container.streams[stream.index]))
        return [(float((p.pts or 0) * p.time_base), bytes(p)) for p in packets if p.size]


def _same_words(one: Written) -> bool:
    """At the same time, in the same language, and not switched on where they were off."""
    old, new = _other(one.source, "subtitle"), _other(one.made, "subtitle")
    assert old is not None and new is not None
    shown = [
        seconds
        for seconds, payload in _packets(one.made, "subtitle")
        if rich_files.WORDS.encode() in payload
    ]
    late = one.made.start - one.source.start  # Matroska moves all back if audio begins before zero
    on = [bool(stream.disposition & Disposition.default) for stream in (old, new)]
    return (
        len(shown) == 1
        and abs(shown[0] - late - float(rich_files.WORDS_AT)) < 0.002
        and new.metadata.get("language") == old.metadata.get("language") == "fra"
        and on[0] == on[1]
    )


def _same_cover(one: Written) -> bool:
    return [p for _, p in _packets(one.made, "video")] == [
        p for _, p in _packets(one.source, "video")
    ]


def _chapters(one: Written) -> str:
    titles, times = (
        [[part(chapter) for chapter in info.chapters] for info in (one.source, one.made)]
        for part in (
            lambda chapter: chapter["metadata"]["title"],
            lambda chapter: float(chapter["start"] * chapter["time_base"]),
        )
    )
    return KEPT if titles[0] == titles[1] and times[0] == times[1] else LOST


def _audio(one: Written) -> str:
    old, new = (
        [(a.metadata["language"], bool(a.disposition & Disposition.default)) for a in info.audio]
        for info in (one.source, one.made)
    )
    codecs = {audio.codec for audio in one.made.audio}
    if old != new or len(codecs) != 1:
        return LOST
    codec = codecs.pop()
    if codec == one.source.audio[0].codec:
        return KEPT
    name = _CODECS[codec]
    return f"as {name}" if f"is encoded to {name.upper()}" in one.notes else LOST


def _timecode(one: Written) -> str:
    stated = {**one.made.file_metadata, **one.made.metadata}
    values = [value for key, value in stated.items() if key.lower() == "timecode"]
    if values != [rich_files.TIMECODE]:
        return LOST
    return KEPT if any(other.timecode for other in one.made.others) else "as a tag"


def _tag(key: str) -> Callable[[Written], str]:
    def fate(one: Written) -> str:
        old, new = (
            {name.lower(): value for name, value in info.file_metadata.items()}
            for info in (one.source, one.made)
        )
        return KEPT if new.get(key) == old[key] else LOST

    return fate


def _xmp(one: Written) -> str:
    made = read_marks(one.made).packet
    if made is None or re.sub(rb" +(?=<\?xpacket end)", b"", made) != rich_files.XMP:
        return LOST
    return "as a tag" if XMP in one.made.file_metadata else KEPT


def _c2pa(one: Written) -> str:
    return NAMED if "its C2PA manifest is not kept" in one.notes else LOST


_MKV_ROWS: dict[str, Callable[[Written], str]] = {
    "SubRip subtitles (.srt)": _fate_of("subtitle", _same_words),
    "attached fonts": _fate_of("attachment", lambda _: True),
    "cover": _fate_of("video", _same_cover),
    "chapters": _chapters,
    "two audio tracks, AAC": _audio,
    "title": _tag("title"),
    "a key of one's own": _tag(rich_files.OWN_KEY),
}
_MOV_ROWS: dict[str, Callable[[Written], str]] = {
    "MOV text subtitles": _fate_of("subtitle", _same_words),
    "timecode": _timecode,
    "XMP": _xmp,
    "C2PA manifest": _c2pa,
}


def rows(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """What it is -> what becomes of it in each of CONTAINERS. folder: for the videos."""
    sources = (
        (rich_files.rich_mkv(folder / "a.mkv"), _MKV_ROWS),
        (rich_files.rich_mov(folder / "a.mov"), _MOV_ROWS),
    )
    for source, fates in sources:
        made = [written(source, folder / f"{source.suffix[1:]}{suffix}") for suffix in CONTAINERS]
        for name, fate in fates.items():
            yield name, [fate(one) for one in made]


def table(folder: Path) -> str:
    """In Markdown."""
    head = ["", *CONTAINERS]
    lines = [head, ["---"] * len(head), *([name, *cells] for name, cells in rows(folder))]
    return "".join(f"| {' | '.join(cells)} |\n".replace("|  |", "| |") for cells in lines)


def main() -> None:
    before, rest = DOCUMENT.read_text("utf-8").split(FIRST)
    after = rest.split(LAST)[1]
    with tempfile.TemporaryDirectory() as folder:
        made = table(Path(folder))
    DOCUMENT.write_text(before + FIRST + made + LAST + after, "utf-8")


if __name__ == "__main__":
    main()
