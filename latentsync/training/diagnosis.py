"""Why SyncNet may not learn: what is said of data and settings before a training, and of a loss
that stays at 0.69.

0.69 is ln 2, the loss of a network that guesses. It has been reported many times of this network
and its relatives, with few clips, clips out of sync, or small batches.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from latentsync.evaluate.networks import load_judges
from latentsync.evaluate.pairs_of_files import evaluation_engine
from latentsync.pipeline.progress import Progress, no_progress
from latentsync.settings.load import load_config
from latentsync.training.data.clip_dataset import training_cache
from latentsync.training.data.speakers import speakers_of
from latentsync.training.data.survey import Survey
from latentsync.training.data.windows import FRAME_RATE
from latentsync.training.offsets import FRAME_MS, Offsets, measure_offsets
from latentsync.training.settings.schema import SyncNetTraining

GUESSING = math.log(2)
FEW_CLIPS, FEW_SPEAKERS, FEW_HOURS = 500, 20, 5.0
FEW_PAIRS = 32  # in one step
FAST = 1e-4  # learning rate
LONG = 30.0  # seconds of a clip
AHEAD = 1.0  # frame by which clips may be off
UNSURE = 3.0  # SyncNet's confidence, below which LatentSync's data filter drops a clip
LAG_MS = 100.0
"""To which the lag of lips is known without SyncNet."""
MOST = 0.2  # share of measured clips that may be off
LOOKED_AT = 24
"""Clips of a sample."""


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What a training of SyncNet begins with. speakers: 0: not known. pairs: of one step."""

    clips: int
    hours: float
    longest: float
    speakers: int
    pairs: int


def diagnose(
    found: Survey,
    settings: SyncNetTraining,
    *,
    processes: int = 1,
    looked_at: int = LOOKED_AT,
    progress: Progress = no_progress,
) -> list[str]:
    """Looks at some of the clips and returns what said_before() says; a clip takes about as long
    as it lasts. looked_at: how many; 0: none.

    Raises what loading the networks raises that find faces.
    """
    offsets = None
    if looked_at:
        config = load_config(
            None, flags={"weights.folders": list(settings.training.weights_folders)}
        )
        cache = training_cache(settings.training)
        step = max(1, len(found.usable) // looked_at)
        some = [one.clip for one in found.usable[::step][:looked_at]]
        files = [(clip.name, clip.file(cache)) for clip in some]
        syncnet = load_judges(config).sync.syncnet
        offsets = measure_offsets(files, evaluation_engine(config), syncnet, progress=progress)
    return said_before(facts_of(found, settings, processes=processes), settings, offsets)


def facts_of(found: Survey, settings: SyncNetTraining, *, processes: int = 1) -> DataFacts:
    seconds = [one.facts.frames / FRAME_RATE for one in found.usable]
    pairs = settings.data.batch_size * settings.gradient_accumulation * processes
    return DataFacts(len(seconds), sum(seconds) / 3600, max(seconds), speakers_of(found), pairs)


def said_before(
    facts: DataFacts, settings: SyncNetTraining, offsets: Offsets | None = None
) -> list[str]:
    """Sentences on what is known to keep SyncNet from learning, worst first; empty: nothing.

    offsets: None: not measured.
    """
    return [*_of_offsets(offsets), *_of_data(facts), *_of_settings(facts, settings)]


def _of_offsets(offsets: Offsets | None) -> list[str]:
    if offsets is None:
        return []
    said = []
    off = [one for one in offsets.clips if abs(one.frames) > AHEAD]
    if len(off) > MOST * len(offsets.clips):
        middle = median(one.frames for one in off)
        way = "ahead of" if middle > 0 else "behind"
        said.append(
            f"in {len(off)} of {len(offsets.clips)} measured clips the audio is more than one frame"
            f" off, typically {abs(middle):.0f} frames {way} the lips: SyncNet cannot learn from"
            f" them; scripts.prepare_data moves the audio ({off[0].clip})"
        )
    unsure = [one for one in offsets.clips if one.confidence < UNSURE]
    if len(unsure) > MOST * len(offsets.clips):
        said.append(
            f"in {len(unsure)} of {len(offsets.clips)} measured clips lips and audio hardly agree"
            f" (confidence below {UNSURE:g}): dubbed, noisy, or somebody else speaks"
            f" ({unsure[0].clip})"
        )
    if abs(offsets.lag_ms) > LAG_MS:
        way = "ahead of" if offsets.lag_ms > 0 else "behind"
        said.append(
            f"over the measured clips the audio is about {abs(offsets.lag_ms) / FRAME_MS:.0f}"
            f" frames {way} the lips, by landmarks (known to {LAG_MS:.0f} ms); with the weights of"
            " the classic SyncNet scripts.prepare_data moves the audio of each clip"
        )
    return said


def _of_data(facts: DataFacts) -> list[str]:
    said = []
    if facts.clips < FEW_CLIPS or facts.hours < FEW_HOURS:
        said.append(
            f"{facts.clips} clips, {facts.hours:.1f} hours, are few: with fewer than {FEW_CLIPS}"
            f" clips or {FEW_HOURS:g} hours SyncNet learns them by heart or stays at"
            f" {GUESSING:.2f}; others needed about 50 hours. Begin with the published weights"
            " (ckpt.resume_ckpt_path), or use them as they are"
        )
    if 0 < facts.speakers < FEW_SPEAKERS:
        said.append(
            f"{facts.speakers} speakers are few: SyncNet recognises people instead of speech with"
            f" fewer than {FEW_SPEAKERS}"
        )
    if facts.longest > LONG:
        said.append(
            f"the longest clip has {facts.longest:.0f} s: each clip comes once in an epoch,"
            " whatever its length; cut them to 5 to 10 s (scripts.prepare_data), or raise"
            " data.samples_per_clip"
        )
    return said


def _of_settings(facts: DataFacts, settings: SyncNetTraining) -> list[str]:
    said = []
    if facts.pairs < FEW_PAIRS:
        said.append(
            f"{facts.pairs} pairs in a step are few: raise data.batch_size or"
            f" data.gradient_accumulation_steps to {FEW_PAIRS} or more (published: 256)"
        )
    if settings.optimizer.lr > FAST:
        said.append(
            f"optimizer.lr {settings.optimizer.lr:g} is high: above {FAST:g} SyncNet stays at"
            f" {GUESSING:.2f} (published: 1e-5)"
        )
    return said


class StuckWatch:
    """Says once that the loss stays where guessing is.

    patience: steps after which it should have moved. window: losses whose mean is looked at.
    """

    def __init__(self, *, patience: int = 2000, window: int = 50, near: float = 0.01) -> None:
        self._patience, self._near = patience, near
        self._latest: deque[float] = deque(maxlen=window)
        self._first: int | None = None
        self._said = False

    def __call__(self, step: int, loss: float) -> str | None:
        """A sentence, the first time that it is so; else None. step: rising; loss: SyncNet's."""
        self._first = step if self._first is None else self._first
        self._latest.append(loss)
        steps = step - self._first
        if self._said or steps < self._patience or not is_stuck(self._latest, self._near):
            return None
        self._said = True
        return stuck_sentence(steps)


def is_stuck(losses: Sequence[float] | deque[float], near: float = 0.01) -> bool:
    """Whether their mean is that of guessing, or worse. False without any, or with one that is not
    finite, which others report."""
    if not losses:
        return False
    return sum(losses) / len(losses) > GUESSING - near


def stuck_sentence(steps: int) -> str:
    return (
        f"after {steps} steps SyncNet's loss is still {GUESSING:.2f} (ln 2): it guesses. Look for"
        " audio that is off by more than a frame, few speakers or clips, small batches, a learning"
        " rate above 1e-4, in this order; or begin with the published weights"
        " (ckpt.resume_ckpt_path). From random weights it may take tens of thousands of steps"
    )
