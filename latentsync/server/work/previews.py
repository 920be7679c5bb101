"""One moment of the output before and after, with several restorers side by side."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

from latentsync.errors import Cancelled, LatentSyncError
from latentsync.media.probe import VideoInfo, probe
from latentsync.pipeline.lanes import keeping_mouths, share_mouths
from latentsync.pipeline.observation import VideoAnalysis
from latentsync.pipeline.preview import index_at
from latentsync.pipeline.purpose import check_purpose
from latentsync.pipeline.session import Session
from latentsync.server.work.asked import Asked
from latentsync.server.work.here import Here
from latentsync.server.work.people import as_watched
from latentsync.server.work.pictures import Made, written
from latentsync.settings.load import config_of
from latentsync.settings.schema import Config

NONE = "none"
LONG = 60.0
"""Seconds of a video from which jobs go on while it is analyzed for a preview."""
_WATCHED = 0.5  # share of the request at which pass 1 has ended


def preview_of_request(asked: Asked, here: Here) -> dict[str, Any]:
    """See process.py. A restorer that cannot be used is an error of its own picture only.

    Raises what Session.observe raises, and what is wrong with all of several restorers.
    """
    config = config_of(asked.arguments["config"])
    seconds = float(asked.arguments["seconds"])
    names = tuple(asked.arguments["restorers"]) or (config.restore.name,)
    info = probe(str(config.input.video))
    analysis = _watched(config, info, asked, here)
    made: dict[str, Made | LatentSyncError] = {}
    with here.turn.first(), ExitStack() as opened:
        shared = _Moment(asked, here, config, info, analysis, seconds, opened)
        for number, name in enumerate(names):
            share = _WATCHED + (1 - _WATCHED) * number / len(names)
            asked.reach(share, f"preview with {name}")
            made[name] = shared.tried(name)
    _check_any(list(made.values()))
    return asdict(written(made, info, seconds, asked.folder, here.public))


def _watched(config: Config, info: VideoInfo, asked: Asked, here: Here) -> VideoAnalysis:
    """Pass 1, unless it was made before."""
    with here.analyses.of(config, asked.check) as seen:
        if seen.analysis is None:
            watched = replace(as_watched(config), compat=config.compat)
            session = Session(here.engines.of(watched), info, config=watched)
            first = nullcontext() if info.duration_seconds > LONG else here.turn.first()
            with first, asked.uses(session):
                seen.analysis = session.observe(asked.progress(0.0, _WATCHED))
                session.people.all  # noqa: B018  several may read the analysis at once from here on
        return seen.analysis


def _check_any(made: Sequence[Made | LatentSyncError]) -> None:
    """What is the same for all is not a restorer's error: of the speech, or of the generator."""
    first = made[0]
    if len(made) > 1 and isinstance(first, LatentSyncError) and len(set(map(str, made))) == 1:
        raise first


@dataclass(eq=False)
class _Moment:
    """What the restorers share: mouths are generated once. opened: the sessions."""

    asked: Asked
    here: Here
    config: Config
    info: VideoInfo
    analysis: VideoAnalysis
    seconds: float
    opened: ExitStack
    first: Session | None = None

    def tried(self, name: str) -> Made | LatentSyncError:
        try:
            return self._made(name)
        except Cancelled:
            raise
        except LatentSyncError as error:
            return error

    def _made(self, name: str) -> Made:
        config = with_restorer(self.config, name)
        if name.lower() != NONE:
            check_purpose(config)
        engine, audio = self.here.engines.of(config), config.input.audio
        new = Session(engine, self.info, audio=audio, config=config, observed=self.analysis)
        session = self.opened.enter_context(self.asked.uses(new))
        if self.first is not None and session.speaks:
            share_mouths(session.lanes, self.first.lanes)
        plan = session.make_plan()
        self.first = self.first or session
        with keeping_mouths(session.lanes):
            return Made(session.preview([index_at(plan, self.seconds)])[0], plan)


def with_restorer(config: Config, name: str) -> Config:
    """What belongs to another restorer only is left out."""
    if name.lower() == config.restore.name.lower():
        return config
    restore = replace(config.restore, name=name, checkpoint=None, fidelity=None)
    return replace(config, restore=restore)
