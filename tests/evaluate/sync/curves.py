"""Made-up embeddings: of lips, and of audio with a true shift, as a trained network gives them."""

from __future__ import annotations

import numpy as np

from latentsync.evaluate.sync.distances import distances, padded

SIZE = 64


def embeddings(
    count: int, shift: int = 0, *, noise: float = 0.5, level: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(count, SIZE) twice, float32: lips, and audio that is ahead by `shift` frames.

    noise: of both, against what they share; a large one: out of sync. level: of all of it.
    """
    generator = np.random.default_rng(seed)
    shared = generator.standard_normal((count + 60, SIZE))
    lips, audio = shared[30:][:count], shared[30 + shift :][:count]
    made = [part + noise * generator.standard_normal(part.shape) for part in (lips, audio)]
    return tuple((level * part).astype(np.float32) for part in made)  # type: ignore[return-value]


def rows_of(lips: np.ndarray, audio: np.ndarray, track: int = 0) -> np.ndarray:
    """(L, 32), as evaluate.sync.score gives them."""
    found = distances(lips, padded(audio))
    return np.column_stack([found, np.full(len(found), float(track))])
