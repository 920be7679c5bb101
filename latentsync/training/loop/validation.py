"""Validation: a video made with the weights of a checkpoint, as a user would, and its figures."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from latentsync.errors import Cancelled, LatentSyncError
from latentsync.evaluate.judge import case_of, judge
from latentsync.evaluate.pairs_of_files import evaluation_engine
from latentsync.generate.model_spec import face_model, unet_file
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.job import checked
from latentsync.pipeline.requirements import missing_weights
from latentsync.pipeline.session import Session
from latentsync.settings.schema import Config

logger = logging.getLogger(__name__)

FOLDER = "validation"


class Validation:
    """Writes OUTPUT/validation/step-00001000.mp4.

    config: of the inference, with video and speech; see inference_config. key: the setting below
    generate that names the weights. stop: other than 0 ends it early.
    """

    def __init__(
        self,
        config: Config,
        output: Path,
        *,
        key: str = "checkpoint",
        stop: Callable[[], int] = lambda: 0,
    ) -> None:
        self._config, self._folder, self._stop = config, output / FOLDER, stop
        self._key = key

    def __call__(self, weights: Path, step: int) -> dict[str, float]:
        """The judge's figures. Raises a LatentSyncError, Cancelled where stop() says so."""
        target = self._folder / f"step-{step:08d}.mp4"
        try:
            found = self._judged(weights, target)
        finally:
            gc.collect()  # models refer to each other in circles
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        shown = ", ".join(f"{name} {value:.4g}" for name, value in list(found.items())[:3])
        logger.info("validation of step %d: %s; %s", step, target, shown or "no figures")
        return found

    def _judged(self, weights: Path, target: Path) -> dict[str, float]:
        self._folder.mkdir(parents=True, exist_ok=True)
        named: dict[str, Any] = {self._key: str(weights)}
        generate = replace(self._config.generate, **named)
        output = replace(self._config.output, path=str(target), overwrite=True)
        config = replace(self._config, generate=generate, output=output)
        job = checked(config)
        with Session(Engine(config), job.source, audio=job.audio) as session:
            report = session.render(job.output, self._progress)
        case = case_of(target, report=report)
        found = judge(evaluation_engine(config), case, progress=self._progress)
        return _numbers(found.evaluation["figures"])

    @contextmanager
    def _progress(self, _title: str, _total: int) -> Iterator[Callable[[], None]]:
        def check() -> None:
            if self._stop():
                raise Cancelled("the validation")

        yield check


def _numbers(figures: Mapping[str, Any]) -> dict[str, float]:
    """Those that were measured."""
    values = {name: one["value"] for name, one in figures.items()}
    return {name: float(v) for name, v in values.items() if isinstance(v, int | float)}


def cannot_validate(config: Config) -> str | None:
    """Why, as far as that is known before there are weights of the U-Net; None: it can be tried.

    config: see Validation.
    """
    if config.input.video is None or config.input.audio is None:
        return "data.val_video_path or data.val_audio_path is not given"
    for path in (config.input.video, config.input.audio):
        if not Path(path).is_file():
            return f"there is no file {path}"
    try:
        any_weights = replace(config, generate=replace(config.generate, checkpoint=None))
        missing = missing_weights(any_weights, speech=True)
    except LatentSyncError as error:
        return str(error)
    trained = unet_file(face_model(config)).key
    names = [one.key for one in missing if one.key != trained]
    return f"weights of {', '.join(names)} are not here" if names else None
