"""What a session decides and prepares for one speaker: speech, plan, generator and restorers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from latentsync.face.masks import upstream_mask
from latentsync.face.portraits import images_of
from latentsync.generate.base import GenerationRequest, LipGenerator, Partial, Preparing
from latentsync.generate.closed_mouth import ClosedMouths
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.concurrency import Checked
from latentsync.pipeline.dialogue import Line
from latentsync.pipeline.fitting import Original, Restorers, mouths_to_restore
from latentsync.pipeline.lipsync import Speech
from latentsync.pipeline.planning import decide, pauses
from latentsync.pipeline.planning.checks import check_overlap
from latentsync.pipeline.planning.layout import Layout, laid_out
from latentsync.pipeline.planning.own_mouth import own_edges
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.planning.samples import Samples, sampled
from latentsync.pipeline.planning.visibility import with_visibility
from latentsync.pipeline.progress import Progress, no_progress
from latentsync.pipeline.rendering import Mouths, SpeakerStages, restore_stage
from latentsync.pipeline.requirements import restores
from latentsync.pipeline.source import footage_of, portraits_of
from latentsync.pipeline.speakers import Speaker
from latentsync.pipeline.squares import Squares
from latentsync.pipeline.stage_timer import Stage
from latentsync.pipeline.workplace import Workplace
from latentsync.restoration.base import Fittable, Tunable
from latentsync.restoration.mouth_blur import EdgeVariances
from latentsync.restoration.strength import MatchedStrengths
from latentsync.speech.acoustic import detect_speech
from latentsync.speech.features import AcousticFeatures

if TYPE_CHECKING:
    from latentsync.pipeline.stages.restore import RestoreStage


NO_SPEECH = (
    "{}: no speech was found in it, so the mouth stays shut; for singing use generate.silence=model"
)


class Lane:
    """One speaker of a session. line: the new speech; None: the mouth in the video is restored.

    analysis: of the speaker. plan: made before; None: it is made here. speaker: who was selected;
    None: the plan says. notes: for the user. last_restoration: the stage of the last pass.
    """

    def __init__(
        self,
        shared: Workplace,
        analysis: SourceAnalysis,
        line: Line | None,
        plan: RenderPlan | None = None,
        speaker: Speaker | None = None,
    ) -> None:
        self.shared, self.analysis, self.line, self.speaker = shared, analysis, line, speaker
        self._plan = plan
        self._samples: Samples | None = None
        self.notes: list[str] = []
        self.last_restoration: RestoreStage | None = None

    @property
    def plan(self) -> RenderPlan:
        """Of decide(), which comes before."""
        assert self._plan is not None
        return self._plan

    def decide(self, progress: Progress = no_progress) -> RenderPlan:
        """Makes every decision, once. With new speech some chunks are generated for it.

        Raises a LatentSyncError where the generator cannot be used with this video or speech.
        """
        if self._plan is None:
            self._plan = self._decided(progress)
            self.generator  # noqa: B018  its errors are raised before the long work
        return self._plan

    @cached_property
    def speech(self) -> Speech | None:
        """Features of the new speech, or None."""
        if self.line is None:
            return None
        lipsync = self.shared.engine.lipsync
        return lipsync.encode_speech(self.line.audio, self.line.name, self.shared.flag.check)

    @cached_property
    def layout(self) -> Layout:
        """How source frames map to output frames, and output frames to chunks."""
        generator = None if self.line is None else self.shared.engine.lipsync.generator
        return Layout.of(self.shared.config, generator)

    @cached_property
    def squares(self) -> Squares:
        """Where the mouths are, or were, generated."""
        if self.line is None:
            return Squares(self.layout.size)
        return Squares.of(self.shared.engine.lipsync.generator, self.analysis)

    @cached_property
    def generator(self) -> LipGenerator | None:
        """The generator, prepared for this video and speech."""
        plan, shared = self._laid_out, self.shared
        if self.speech is None or not plan.generates:
            return None
        check_overlap(plan, self.layout.overlap)
        generator = shared.engine.lipsync.generator
        if isinstance(generator, Preparing):
            with shared.timer.stage(Stage.PREPARE):
                return generator.prepare(self._request(plan))
        return generator

    @cached_property
    def restorers(self) -> Restorers | None:
        """Track -> its tuned or fitted restorer; None: nothing is restored."""
        restorer = self.shared.engine.restorer
        if restorer is None or not restores(self.shared.config):
            return None
        return Restorers(restorer, MatchedStrengths() if self._matches else None)

    @cached_property
    def mouths(self) -> Mouths:
        closed, timer = self.closed_mouths, self.shared.timer
        return Mouths(self.layout, self.speech, self.generator, closed, timer, self.squares)

    def stages(self, indices: np.ndarray) -> SpeakerStages:
        """To render those output frames. The restorers are tuned or fitted first."""
        plan, shared = self.plan, self.shared
        self._make_ready(np.unique(plan.track[indices[plan.strength[indices] > 0]]))
        stage = None
        if self.restorers is not None:
            stage = restore_stage(shared.engine, plan, self.restorers, shared.config.restore)
        self.last_restoration = stage
        return SpeakerStages(plan, self.mouths, stage)

    @property
    def _matches(self) -> bool:
        """Whether strengths are matched to the face. Detail is tuned to the same goal already; and
        where the whole face is restored, none of it is left to compare with."""
        restore = self.shared.config.restore
        tuned = isinstance(self.shared.engine.restorer, Tunable)
        return restore.strength == "auto" and restore.region != "face" and not tuned

    @cached_property
    def _laid_out(self) -> RenderPlan:
        if self._plan is not None:
            return self._plan
        shared, restorer = self.shared, self.shared.engine.restorer
        plan = laid_out(
            shared.config,
            self.layout,
            self.analysis,
            shared.source.info,
            self.speech,
            squares=self.squares,
            **({} if self.line is None else {"spoken": self.line.spoken}),
            size=None if restorer is None else restorer.size,
        )
        if self.speaker is not None:
            plan = replace(plan, named=self.speaker.choices)
        return plan if shared.config.as_upstream else self._with_pauses(with_visibility(plan))

    def _with_pauses(self, plan: RenderPlan) -> RenderPlan:
        """What the mouth shows while the speech pauses."""
        if self.line is None or not plan.generates:
            return plan
        silence = self.shared.config.generate.silence
        if silence == pauses.MODEL:
            return plan
        blocks = Checked(self.line.audio, self.shared.flag.check)
        speech = detect_speech(blocks, None if self.speech is None else self.speech.extent)
        if not speech.any():
            self.notes.append(NO_SPEECH.format(self.line.name))
        return pauses.with_pauses(plan, silence, speech)

    @cached_property
    def closed_mouths(self) -> ClosedMouths | None:
        """For the pauses of the speech; None: none is needed."""
        plan, shared = self._laid_out, self.shared
        if not plan.closed.any():
            return None
        with shared.timer.stage(Stage.PREPARE):
            return ClosedMouths.prepare(
                footage_of(shared.source, plan.analysis, shared.flag.check),
                source=plan.source,
                seconds=plan.seconds,
                jumps=plan.jumps,
                closed=plan.closed,
                mask=upstream_mask(self.layout.size),
            )

    @cached_property
    def _undecided(self) -> RenderPlan:
        """The plan without strengths: where the generator has no mouth, the filmed one is shown."""
        plan, generator = self._laid_out, self.generator
        if self._plan is not None:
            return plan
        if self.closed_mouths is not None:  # elsewhere the generated mouth stays
            plan = replace(plan, closed=self.closed_mouths.share)
        if not isinstance(generator, Partial):
            return plan
        shown, generated = plan.shown.copy(), np.flatnonzero(plan.chunk >= 0)
        shown[generated] *= generator.shown(generated)
        return replace(plan, shown=shown)

    def _decided(self, progress: Progress) -> RenderPlan:
        plan, restore = self._undecided, self.shared.config.restore
        if not restores(self.shared.config):
            return plan
        if self.line is None:
            return decide.decided_by_analysis(plan, restore, self._own_edges())
        tuned = isinstance(self.shared.engine.restorer, Tunable | Fittable)
        wanted = restore.when == "auto" or tuned or self._matches
        numbers = decide.chunks_to_sample(plan) if wanted else []
        self._samples = self._sampled(plan, numbers, progress)
        return decide.decided_by_samples(plan, restore, self._samples.chunks, self._own_edges())

    def _own_edges(self) -> Mapping[int, EdgeVariances]:
        """By track, the edges of the person's own mouth in the reference; none without one."""
        if self.shared.config.restore.reference is None:
            return {}
        return own_edges(self.analysis, self._original.analysis)

    def _sampled(
        self, plan: RenderPlan, numbers: Sequence[int], progress: Progress = no_progress
    ) -> Samples:
        crops = isinstance(self.shared.engine.restorer, Fittable) or self._matches
        reader, meter = self.shared.reader, self.shared.meter
        return sampled(self.mouths, reader, plan, numbers, meter, crops=crops, progress=progress)

    def _make_ready(self, tracks: np.ndarray) -> None:
        if self.restorers is not None and len(tracks):
            with self.shared.timer.stage(Stage.FIT):
                self.restorers.make_ready(
                    tracks.tolist(),
                    self.plan,
                    original=lambda: self._original,
                    to_restore=self._to_restore,
                    generator=self.generator,
                )

    def _to_restore(self, tracks: Sequence[int]) -> Mapping[int, Sequence[torch.Tensor]]:
        """Track -> some of the mouths that are to be restored."""
        if self.line is None:
            return mouths_to_restore(tracks, self.plan, self.shared.source)
        if self._samples is None:
            self._samples = self._sampled(self.plan, self.plan.sampled.tolist())
        return self._samples.mouths

    @cached_property
    def _original(self) -> Original:
        """The video with the training mouths."""
        other = self.shared.others.reference(self._looks)
        if other is None:
            return Original(self.shared.source, self.analysis, itself=True)
        return Original(*other, itself=False)

    def _looks(self) -> np.ndarray:
        """(n, 112, 112, 3) uint8 RGB, portraits of the speaker."""
        if self.speaker is not None:
            return images_of(self.speaker.person.portraits)
        return portraits_of(self.shared.source, self.analysis)

    def _request(self, plan: RenderPlan) -> GenerationRequest:
        shared, speech = self.shared, self.speech
        return GenerationRequest(
            footage_of(shared.source, plan.analysis, shared.flag.check, self.squares),
            lambda path: shared.others.footage(path, self._looks),
            plan.seconds,
            plan.source,
            plan.chunk,
            plan.jumps,
            self.layout.lengths(plan),
            speech.acoustics if isinstance(speech, AcousticFeatures) else None,
            shared.flag.check,
        )
