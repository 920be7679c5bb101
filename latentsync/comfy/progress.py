"""How far a node has come: ComfyUI's bar, with the mouth as its preview."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from comfy.utils import ProgressBar
from PIL import Image

from latentsync.comfy.interruption import Interruption
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.preview import AROUND, enlarged, mouth_place
from latentsync.pipeline.stage_timer import StageTimer
from latentsync.pipeline.stages.composite import Rendered
from latentsync.tone import sdr

logger = logging.getLogger(__name__)

EACH = 0.5
"""Seconds from one preview to the next."""
SIDE = 256
"""Pixels of a preview's longer side, as ComfyUI sends it."""
MOUTH = (SIDE, round(SIDE * float(AROUND[1] / AROUND[0])))


class Bars:
    """Progress of a run: see pipeline.progress and, for bytes, weights.download. Each pass has a
    bar of its own. A step raises Cancelled once the user has interrupted."""

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption
        self._image: Image.Image | None = None

    @contextmanager
    def frames(self, title: str, total: int) -> Iterator[Callable[[], None]]:
        """A pass over frames."""
        with self.bytes(title, total) as step:
            yield lambda: step(1)

    @contextmanager
    def bytes(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """A download, or any other count."""
        logger.info("%s", title)
        self._interruption.check()
        bar, done = ProgressBar(total or 1), 0

        def step(more: int) -> None:
            nonlocal done
            self._interruption.check()
            done += more
            bar.update_absolute(done, max(total, done, 1), self._new_image())

        yield step

    def show(self, image: Image.Image) -> None:
        """With the next step, from any thread."""
        self._image = image

    def _new_image(self) -> tuple[str, Image.Image, int] | None:
        """As ComfyUI takes it; each once."""
        image, self._image = self._image, None
        return None if image is None else ("JPEG", image, SIDE)


class MouthPreview:
    """An observer of the finished frames, see pipeline.writing: shows the mouth every now and
    then."""

    def __init__(self, bars: Bars) -> None:
        self._bars, self._next = bars, 0.0
        self._plan: RenderPlan | None = None

    def begin(self, plan: RenderPlan, _timer: StageTimer) -> None:
        self._plan = plan

    def add(self, item: Rendered) -> None:
        now = time.monotonic()
        if now < self._next or self._plan is None:
            return
        place = mouth_place(self._plan, item.index)
        if place is not None:
            self._next = now + EACH
            self._bars.show(Image.fromarray(enlarged(sdr(item.after).pixels, place, MOUTH)))

    def finish(self) -> None:
        """Nothing is left to do."""
