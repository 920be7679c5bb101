"""All steps of one source, in order: a file becomes clips and verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from latentsync.errors import CheckpointError, ConfigError, FaceNotFoundError, LatentSyncError
from latentsync.face.identity import vectors_of
from latentsync.face.people import Person, people_of
from latentsync.media.probe import VideoInfo, probe
from latentsync.pipeline.observation import VideoAnalysis
from latentsync.pipeline.who_speaks import speaking_people
from latentsync.speech.mfcc import mfcc_of_blocks
from latentsync.training.preparation.clips import (
    PICTURES,
    MadeClip,
    Planned,
    Source,
    make_clips,
)
from latentsync.training.preparation.faces import judge_faces, judge_size
from latentsync.training.preparation.failures import writing
from latentsync.training.preparation.frames import SteadyFrames
from latentsync.training.preparation.manifest import DROPPED, WHOLE, Journal, Judged, Piece
from latentsync.training.preparation.readable import (
    judge_issues,
    judge_rate,
    judge_readable,
    reason_of,
)
from latentsync.training.preparation.recording import (
    Heard,
    Recording,
    heard,
    judge_audio,
    read_recording,
)
from latentsync.training.preparation.segments import judge_segments
from latentsync.training.preparation.settings import PreparationSettings
from latentsync.training.preparation.shots import judge_shots
from latentsync.training.preparation.speakers import Spans, judge_speaker, judge_speech
from latentsync.training.preparation.sync import lag_of
from latentsync.training.preparation.tools import Tools
from latentsync.types import Alignment

Tick = Callable[[], None]
"""Called for each frame that is decoded; may raise."""


@dataclass(slots=True, eq=False)
class Prepared:
    """What became of a source. vectors: by number of a person, (n, D), see face.identity."""

    journal: Journal
    clips: list[MadeClip] = field(default_factory=list)
    vectors: dict[int, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _Watched:
    """A source after the first pass."""

    info: VideoInfo
    heard: Heard
    analysis: VideoAnalysis
    people: Sequence[Person]
    spans: Spans | None


def prepare_source(
    path: Path,
    name: str,
    stem: str,
    folder: Path,
    tools: Tools,
    settings: PreparationSettings,
    tick: Tick = lambda: None,
) -> Prepared:
    """Makes the clips of one file in the folder; the file is only read.

    name: of the source in the table. stem: what names of clips begin with. A file that cannot be
    used has a verdict that says why. Raises what is not the file's fault: CheckpointError,
    ConfigError, and MediaError where a clip or a picture cannot be written.
    """
    prepared = Prepared(Journal(name, stem))
    watched = _watch(path, prepared.journal, tools, settings, tick)
    if watched is None:
        return prepared
    pieces = _chosen(watched, prepared.journal, settings)
    _keep_portraits(watched.people, prepared.journal, folder)
    planned = _planned(watched, pieces, tools, settings)
    cepstra = None
    if tools.judges.sync.syncnet is not None and settings.judges("sync") and planned:
        cepstra = mfcc_of_blocks(watched.heard.recording)
    source = Source(watched.info, watched.heard.recording, cepstra, folder)
    frames = SteadyFrames(watched.info, tick)
    prepared.clips = make_clips(source, planned, tools, settings, prepared.journal, frames)
    shown = {clip.piece.person for clip in prepared.clips}
    for person in watched.people:
        if person.number in shown:
            prepared.vectors[person.number] = vectors_of(person.portraits, tools.engine.embedding)
    return prepared


def _watch(
    path: Path, journal: Journal, tools: Tools, settings: PreparationSettings, tick: Tick
) -> _Watched | None:
    """The first pass. None: the source was dropped."""
    step, piece = "readable", Piece(WHOLE, 0, 0)
    try:
        info = probe(path)
        judged = judge_readable(info)
        piece = judged.piece
        if not journal.take(step, [judged]):
            return None
        step = "rate"
        if not journal.take(step, [judge_rate(piece, info, settings)]):
            return None
        step = "audio"
        recording = read_recording(info)
        if not _is_heard(piece, recording, journal, settings):
            return None
        frames = SteadyFrames(info, tick)
        step = "faces"
        analysis = tools.new_analyzer()(frames)
        piece = Piece(WHOLE, 0, len(analysis.faces))
        if not _is_whole(piece, frames.issues, journal, settings):
            return None
        people = people_of(
            analysis.tracks,
            analysis.portraits.by_track(analysis.tracks),
            analysis.pts_seconds,
            tools.engine.embedding,
        )
        spans = _spans(info, people, analysis, tools, settings)
        return _Watched(info, heard(recording), analysis, people, spans)
    except (CheckpointError, ConfigError):
        raise
    except FaceNotFoundError:
        if _is_whole(piece, frames.issues, journal, settings):
            journal.take(step, [Judged(piece, DROPPED, "no face is seen")])
    except LatentSyncError as error:
        journal.take(step, [Judged(piece, DROPPED, reason_of(error))])
    return None


def _is_heard(
    piece: Piece, recording: Recording, journal: Journal, settings: PreparationSettings
) -> bool:
    if not _is_whole(piece, recording.issues, journal, settings):
        return False
    return bool(journal.take("audio", [judge_audio(piece, recording)]))


def _is_whole(
    piece: Piece, issues: str | None, journal: Journal, settings: PreparationSettings
) -> bool:
    """Damage that is found while a file is read counts for the first step."""
    if issues is None:
        return True
    return bool(journal.take("readable", [judge_issues(piece, issues, keep=settings.keep_damaged)]))


def _spans(
    info: VideoInfo,
    people: Sequence[Person],
    analysis: VideoAnalysis,
    tools: Tools,
    settings: PreparationSettings,
) -> Spans | None:
    if len(people) < 2 or not settings.judges("speaker"):
        return None
    frames = SteadyFrames(info)
    scorer = tools.engine.mouth_scorer
    return speaking_people(frames, people, analysis.pts_seconds, scorer, lambda: None).spans


def _chosen(watched: _Watched, journal: Journal, settings: PreparationSettings) -> list[Piece]:
    """The pieces that clips are made of."""
    people, spans = watched.people, watched.spans
    pieces = journal.take("shots", judge_shots(watched.analysis.cuts, settings))
    pieces = journal.take("faces", judge_faces(pieces, people, settings))
    pieces = journal.take("size", judge_size(pieces, people, settings))
    pieces = journal.take("speaker", judge_speaker(pieces, spans, settings))
    pieces = journal.take("segments", judge_segments(pieces, settings))
    spoken = watched.heard.spoken(len(watched.analysis.faces))
    return journal.take("speech", judge_speech(pieces, spoken, spans, settings))


def _keep_portraits(people: Sequence[Person], journal: Journal, folder: Path) -> None:
    """For the overview: of the pieces that were dropped before the second pass, a few."""
    faces = {
        person.number: max(person.portraits, key=lambda one: one.quality).jpeg
        for person in people
        if person.portraits
    }
    shown = [piece for piece in journal.dropped if piece.person in faces]
    for piece in shown[:PICTURES]:
        path = folder / f"{journal.name(piece)}.jpg"
        with writing("a picture", path):
            path.write_bytes(faces[piece.person])


def _planned(
    watched: _Watched, pieces: Sequence[Piece], tools: Tools, settings: PreparationSettings
) -> list[Planned]:
    planned = []
    without = settings.judges("sync") and tools.judges.sync.syncnet is None
    for person in watched.people:
        own = [piece for piece in pieces if piece.person == person.number]
        if not own:
            continue
        aligned = watched.analysis.of_person(person).alignments
        for track in sorted({piece.track for piece in own}):
            runs = [
                (piece, _all(aligned[piece.start : piece.stop]))
                for piece in own
                if piece.track == track
            ]
            lag = None
            if without:
                lag = lag_of([(one.start, each) for one, each in runs], watched.heard.speech)
            planned += [Planned(piece, each, lag) for piece, each in runs]
    return planned


def _all(aligned: Sequence[Alignment | None]) -> list[Alignment]:
    """A track has no gap."""
    known = [one for one in aligned if one is not None]
    assert len(known) == len(aligned)
    return known
