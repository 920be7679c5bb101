"""For all tests: nothing of the user's own is read or changed, and nothing is fetched."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import setuptools  # noqa: F401  torch.compile imports it late, when others may have imported distutils

import latentsync

if TYPE_CHECKING:
    from latentsync.pipeline.observation import VideoAnalysis

TALKING = Path(__file__).parents[1] / "assets" / "demo_talking.mp4"

# The hub's library reads these once, when it is imported, which is before any fixture runs.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = str(Path(tempfile.gettempdir(), "latentsync-tests-empty-hub"))
# openvino reports its imports to its makers but for some build servers; this is the mark of one.
os.environ.setdefault("JENKINS_URL", "none")
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]


# Half of what is usual, and no deadline: other processes may take all cores.
hypothesis.settings.register_profile("suite", max_examples=50, deadline=None)
hypothesis.settings.load_profile("suite")

HOMES = itertools.count()
"""Numbers of the tests' own homes."""

LONG = (
    *("parity/test_codeformer.py", "e2e/test_replay.py", "e2e/test_killed.py"),
    *("e2e/test_lipsync.py", "e2e/test_session.py", "parity/test_gfpgan.py"),
    *("jobs/test_cluster.py", "training/preparation/test_cluster.py", "e2e/test_page.py"),
    "parity/test_unet_openvino.py",
    *("e2e/test_weights_flow.py", "e2e/test_self.py", "e2e/test_hostile.py", "e2e/test_server.py"),
    *("pipeline/test_side_by_side.py", "restoration/test_personalized.py"),
    *("pipeline/test_overlap.py", "e2e/test_enhance.py", "e2e/test_networks.py"),
    *("e2e/test_speakers.py", "e2e/test_interrupted.py"),
)
"""Files that take longest, begun first, so that no process is left with one at the end."""


GROUPS = {
    "gfpgan": ("parity/test_gfpgan.py", "parity/test_gfpgan_window.py"),
    "talking": (
        *("e2e/test_replay.py", "generate/test_replay.py", "generate/test_closed_mouth.py"),
        "generate/test_speech_wanted.py",
    ),
}
"""Files that share what takes seconds to make; every other file is a group of its own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(LONG)))
    groups = {here / name: group for group, names in GROUPS.items() for name in names}
    for item in items:
        group = groups.get(item.path, str(item.path.relative_to(here)))
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where converted networks are kept: one folder for all tests, as each is asked for often.

    Also for those in other processes, whose own temporary folders lie side by side.
    """
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "graphs"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def nothing_of_the_user(tmp_path_factory: pytest.TempPathFactory, graphs: Path) -> Iterator[None]:
    """For fixtures that serve several tests, too: they run before those of a test."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state" / "shared"))
        patched.setenv("LATENTSYNC_CACHE", str(graphs))
        for name in ("LATENTSYNC_ACCEPT_LICENCES", "HF_ENDPOINT"):
            patched.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty home for what is remembered between runs; no folder is made for it."""
    home = tmp_path_factory.getbasetemp() / "state" / str(next(HOMES))
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    monkeypatch.delenv("LATENTSYNC_CHECKPOINTS", raising=False)


@pytest.fixture(scope="session")
def talking() -> VideoAnalysis:
    """Pass 1 of that video with the default settings, which takes seconds: Session(observed=)."""
    engine = latentsync.Engine(latentsync.load_config())
    with latentsync.Session(engine, TALKING) as session:
        return session.observe()


@pytest.fixture(autouse=True)
def usual_class() -> Iterator[None]:
    """No test leaves its process in the real-time class, in which it would starve all others."""
    yield
    if hasattr(os, "sched_getscheduler"):
        left = os.sched_getscheduler(0)
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # the next test is not to blame
        assert left == os.SCHED_OTHER
