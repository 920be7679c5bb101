"""For all tests: nothing of the user's own is read or changed, and nothing is fetched."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
import setuptools  # noqa: F401  torch.compile imports it late, when others may have imported distutils

# The hub's library reads these once, when it is imported, which is before any fixture runs.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = str(Path(tempfile.gettempdir(), "latentsync-tests-empty-hub"))
# openvino reports its imports to its makers but for some build servers; this is the mark of one.
os.environ.setdefault("JENKINS_URL", "none")
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]


LONG = (
    *("e2e/test_lipsync.py", "e2e/test_weights_flow.py", "parity/test_codeformer.py"),
    *("e2e/test_replay.py", "e2e/test_session.py", "parity/test_unet_openvino.py"),
    *("e2e/test_hostile.py", "e2e/test_self.py", "restoration/test_personalized.py"),
    *("pipeline/test_side_by_side.py", "parity/test_gfpgan.py", "parity/test_gfpgan_window.py"),
    *("e2e/test_networks.py", "pipeline/test_overlap.py", "e2e/test_interrupted.py"),
)
"""Files that take longest, begun first, so that no process is left with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(LONG)))


@pytest.fixture(scope="session")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where converted networks are kept: one folder for all tests, as each is asked for often.

    Also for those in other processes, whose own temporary folders lie side by side.
    """
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "graphs"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def own_state(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, graphs: Path
) -> None:
    """An empty home for what is remembered between runs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    monkeypatch.setenv("LATENTSYNC_CACHE", str(graphs))
    for name in ("LATENTSYNC_CHECKPOINTS", "LATENTSYNC_ACCEPT_LICENCES", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
