"""From frames to masks: what is in front of a drawn face is found, and nothing else."""

import numpy as np
import pytest

from latentsync.face.masks import region_mask
from latentsync.face.occlusion.find import find_occluders
from latentsync.face.occlusion.watch import OcclusionWatch
from tests.support.drawn_faces import RATE, alignment_of, bar_over, face_at, frame_of

FRAMES = 80
BELOW, OVER = 210.0, 138.0  # first row of the bar: below the frame, over the mouth


class Watched:
    """A drawn face that talks, with a bar where tops say, seen through a watch."""

    def __init__(self, tops, *, light=None, opening=None, color=(30, 120, 200)):
        watch = OcclusionWatch()
        self.seconds = np.arange(len(tops)) / RATE
        self.observations, self.alignments, self.bars = [], [], []
        for i, top in enumerate(tops):
            face = face_at(i, opening=None if opening is None else opening[i])
            pixels = frame_of(face, light=1.0 if light is None else light[i], seed=i)
            self.bars.append(bar_over(pixels, top, color))
            self.observations += watch.watch(pixels, [face], self.seconds[i], cut=i == 0)
            self.alignments.append(alignment_of(face, i))

    @property
    def occluders(self):
        return find_occluders(self.observations, self.alignments, self.seconds)

    @property
    def kept(self):
        return sum(one.cells is not None for one in self.observations)

    def covered(self, occluders, i):
        """The share of the bar's mouth pixels where the mask is 1."""
        bar = self.in_crop(i) & (small(region_mask("lower_face")) > 0)
        mask = occluders.mask_of(i)
        return 1.0 if not bar.any() else 0.0 if mask is None else float((mask[bar] == 1).mean())

    def in_crop(self, i):
        """(140, 105) bool, where the bar is, but for its rim."""
        matrix = self.alignments[i].matrix
        rows, columns = np.mgrid[:140, :105] * 4 + 1.5
        x, y = (columns / matrix[0, 0] - matrix[0, 2] / matrix[0, 0]), rows
        y = rows / matrix[1, 1] - matrix[1, 2] / matrix[1, 1]
        x, y = np.rint(x).astype(int), np.rint(y).astype(int)
        inside = (x >= 0) & (x < 260) & (y >= 0) & (y < 200)
        return inside & self.bars[i][np.clip(y, 0, 199), np.clip(x, 0, 259)]


def small(mask):
    return mask[2::4, 2::4]


def passing(start=35, stop=60, frames=FRAMES):
    times = np.arange(frames)
    return np.interp(times, [start, start + 5, stop - 5, stop], [BELOW, OVER, OVER, BELOW])


@pytest.fixture(scope="module")
def passed():
    return Watched(passing())


def test_a_bar_that_passes_is_covered_by_the_masks(passed):
    occluders = passed.occluders
    assert min(passed.covered(occluders, i) for i in range(FRAMES)) > 0.95


def test_frames_before_and_after_it_have_no_mask(passed):
    assert all(30 <= frame <= 65 for frame in passed.occluders)


def test_the_mask_grows_before_the_bar_arrives(passed):
    arrives = next(i for i in range(FRAMES) if passed.in_crop(i)[60:125].any())
    assert passed.occluders.mask_of(arrives) is not None
    assert min(passed.occluders) < arrives


def test_most_of_the_face_keeps_its_patch_while_the_bar_is_there(passed):
    given = passed.occluders.mask_of(47)
    assert given[:60].max() == 0


def test_a_face_that_talks_has_no_occluder():
    assert len(Watched(np.full(FRAMES, BELOW)).occluders) == 0


def test_a_mouth_that_opens_wide_is_no_occluder():
    opening = np.interp(np.arange(FRAMES), [40, 46, 60, 66], [10, 90, 90, 10])
    assert len(Watched(np.full(FRAMES, BELOW), opening=opening).occluders) == 0


def test_light_that_fades_is_no_occluder():
    light = np.interp(np.arange(FRAMES), [30, 60], [1.0, 0.8])
    assert len(Watched(np.full(FRAMES, BELOW), light=light).occluders) == 0


def test_an_occluder_with_which_a_track_begins_is_found():
    watched = Watched(np.interp(np.arange(FRAMES), [35, 40], [OVER, BELOW]))
    occluders = watched.occluders
    assert min(watched.covered(occluders, i) for i in range(35)) > 0.95
    assert max(occluders) < 50


def test_an_occluder_that_rests_until_the_end_is_covered_to_the_end():
    watched = Watched(passing(35, 400, frames=230))
    occluders = watched.occluders
    assert min(watched.covered(occluders, i) for i in range(230)) > 0.95


def test_memory_does_not_grow_while_nothing_is_in_front():
    short, long = (Watched(np.full(frames, BELOW)).kept for frames in (300, 400))
    assert long <= short <= 70  # 32 references, the first second, and what still waits


def test_the_order_of_two_faces_does_not_matter():
    def masks(order):
        watch = OcclusionWatch()
        found = {left: [] for left in (0.0, 140.0)}
        for i, top in enumerate(passing(frames=70)):
            faces = [face_at(i, left) for left in (0.0, 140.0)]
            pixels = frame_of(*faces, seed=i)
            pixels[round(top) : round(top) + 24, :125] = 30, 120, 200
            given = [faces[j] for j in order]
            made = watch.watch(pixels, given, i / RATE, cut=False)
            for j, one in zip(order, made, strict=True):
                found[(0.0, 140.0)[j]].append(one)
        seconds = np.arange(70) / RATE
        return {
            left: find_occluders(
                some,
                [alignment_of(face_at(i, left), i, left) for i in range(70)],
                seconds,
            ).arrays()
            for left, some in found.items()
        }

    forth, back = masks((0, 1)), masks((1, 0))
    assert len(forth[0.0]["frames"]) > 10
    assert len(forth[140.0]["frames"]) == 0
    for left, arrays in forth.items():
        assert all(np.array_equal(value, back[left][name]) for name, value in arrays.items())


def test_frames_without_an_observation_are_left_out(passed):
    observations = list(passed.observations)
    observations[10] = observations[47] = None
    occluders = find_occluders(observations, passed.alignments, passed.seconds)
    assert passed.covered(occluders, 47) > 0.95  # bridged


def test_no_face_no_occluder():
    assert len(find_occluders([None] * 3, [None] * 3, np.arange(3) / RATE)) == 0
