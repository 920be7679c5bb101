"""Which denoising steps are guided.

Guidance in the middle of the trajectory is what makes mouths follow the audio; at its beginning and
its end it costs likeness (Lip Forcing, arXiv 2606.11180). A step that is not guided takes half the
time.
"""

from __future__ import annotations

from collections.abc import Sequence

WHOLE = (0.0, 1.0)
"""The interval of guidance at every step, as upstream."""


def guided_steps(
    steps: int, guidance: float, interval: Sequence[float], cache_interval: int
) -> list[bool]:
    """Whether each denoising step is guided.

    guidance: scale; up to 1.0 no step is. interval: two shares of the trajectory, 0 where it begins
    with noise, 1 where it ends with the image; a step counts by its middle. cache_interval: steps
    that share the U-Net's deep features, 0 or 1: none do. They are guided together, or not at all,
    by the middle of them: features are those of a guided pass, or they are not.
    """
    low, high = interval
    shared = max(cache_interval, 1)
    guided: list[bool] = []
    for first in range(0, steps, shared):
        end = min(first + shared, steps)
        middle = (first + end) / (2 * steps)
        guided += [guidance > 1.0 and low <= middle <= high] * (end - first)
    return guided
