"""For all tests: nothing of the user's own is read or changed, and nothing is fetched."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

# The hub's library reads these once, when it is imported, which is before any fixture runs.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = str(Path(tempfile.gettempdir(), "latentsync-tests-empty-hub"))
# openvino reports its imports to its makers but for some build servers; this is the mark of one.
os.environ.setdefault("JENKINS_URL", "none")
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]


@pytest.fixture(scope="session")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where converted networks are kept: one folder for all tests, as each is asked for often."""
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture(autouse=True)
def own_state(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, graphs: Path
) -> None:
    """An empty home for what is remembered between runs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    monkeypatch.setenv("LATENTSYNC_CACHE", str(graphs))
    for name in ("LATENTSYNC_CHECKPOINTS", "LATENTSYNC_ACCEPT_LICENCES", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
