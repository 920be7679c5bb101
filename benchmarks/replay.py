"""Lip motion of replay in self-reenactment: a video generated from itself, neighbourhood held out.

python -m benchmarks.replay CLIP [--speech NEW.wav]

The face mesh measures the lip opening in the output. r: Pearson correlation with the clip's own lip
opening, next to chance: the 95th percentile of r with the output shifted in time. motion: mean
change of the lip opening per frame, relative to the clip's. shut: frames in pauses of 0.2 s and
more whose lip opening is below the clip's 25th percentile. With --speech there is no ground truth,
so r is left out.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.ready import ready_engine
from latentsync.commands.quiet import quiet_libraries
from latentsync.face.detector import load_detector
from latentsync.generate.replay.lips import lip_shape
from latentsync.pipeline.session import Session
from latentsync.settings.load import load_config
from latentsync.speech.features import AcousticFeatures

SETTINGS = ("generate.name=replay", "restore.when=never")
ITSELF = ("generate.replay.exclude_seconds=1", "generate.replay.silence_weight=0")
SHORTEST_SHIFT = 25  # frames: closer ones are similar anyway


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--speech", type=Path, help="new speech; default: the clip's own")
    parser.add_argument("settings", nargs="*", help="key=value")
    options = parser.parse_intermixed_args()
    own = () if options.speech else ITSELF
    engine = ready_engine(load_config(None, [*SETTINGS, *own, *options.settings]), speech=True)
    with Session(engine, options.clip, audio=options.speech or options.clip) as session:
        begin = time.perf_counter()
        analysis = session.analyze()
        analyzed = time.perf_counter()
        plan, lane = session.plan, session.lanes[0]
        generator, speech = lane.generator, lane.speech
        prepared = time.perf_counter()
        made = np.array(list(_apertures(frame.pixels for frame in session.frames())))
        seconds = session.timer.seconds
    true = lip_shape(np.stack([a.landmarks for a in analysis.alignments if a is not None]))[:, 0]
    facts = getattr(generator, "facts", {})
    print(f"{options.clip.name}: {len(made)} frames, {facts}")
    if options.speech is None:
        count = min(len(true), len(made))
        r, chance = _r(true[:count], made[:count]), _by_chance(true[:count], made[:count])
        print(f"r {r:.2f}, chance {chance:.2f}")
    motion = np.abs(np.diff(made)).mean() / np.abs(np.diff(true)).mean()
    print(f"motion {motion:.2f}, joins {facts.get('unit_joins', 0) / plan.duration:.1f} per second")
    assert isinstance(speech, AcousticFeatures)
    silent = speech.acoustics.silent(plan.seconds)
    if silent.any():
        shut = (made[silent] < np.percentile(true, 25)).mean()
        print(f"shut in {100 * shut:.0f} % of {silent.sum()} silent frames")
    print(
        f"seconds: detect {analyzed - begin:.1f}, encode audio and select units "
        f"{prepared - analyzed:.1f}, generate {seconds['generate'] / len(made):.3f} per frame, "
        f"composite {seconds['composite'] / len(made):.3f} per frame"
    )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB")


def _apertures(frames: Iterable[np.ndarray]) -> Iterator[float]:
    """Lip opening in each frame; without a face, that of the frame before."""
    detector = load_detector("mediapipe", max_faces=1, min_confidence=0.5)
    last = np.nan
    for pixels in frames:
        faces = detector(pixels)
        if faces:
            last = float(lip_shape(faces[0].landmarks[None])[0, 0])
        yield last


def _by_chance(true: np.ndarray, made: np.ndarray) -> float:
    shifts = range(SHORTEST_SHIFT, len(true) - SHORTEST_SHIFT)
    return float(np.percentile([_r(true, np.roll(made, shift)) for shift in shifts], 95))


def _r(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one, other)[0, 1])


if __name__ == "__main__":
    with quiet_libraries():
        main()
