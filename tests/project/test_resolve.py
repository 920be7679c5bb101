"""The check of the requirements distinguishes conflicts from a missing network."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "resolve.py"
NO_NETWORK = "WARNING: Retrying (Retry(total=1)) after connection broken by 'NewConnectionError'\n"
NONE = "ERROR: Could not find a version that satisfies numpy==1 (from versions: none)"
OTHERS = "ERROR: Could not find a version that satisfies numpy==1 (from versions: 2.4.5, 2.4.6)"
CONFLICT = "ERROR: Cannot install a and b because these have conflicting dependencies."


@pytest.fixture
def resolve() -> ModuleType:
    spec = importlib.util.spec_from_file_location("resolve", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("", 0),
        (NO_NETWORK + NONE, 0),
        (NONE, 1),
        (OTHERS, 1),
        (CONFLICT, 1),
        (NO_NETWORK + OTHERS, 1),
        (NO_NETWORK + CONFLICT, 1),
    ],
)
def test_only_what_cannot_be_resolved_fails(
    resolve: ModuleType, monkeypatch: pytest.MonkeyPatch, said: str, code: int
) -> None:
    monkeypatch.setattr(resolve, "_pip", lambda *_: "")
    monkeypatch.setattr(resolve, "_resolved", lambda version, _: said if version == "3.12" else "")
    assert resolve.main(["3.11", "3.12"]) == code


def test_a_missing_network_is_reported(
    resolve: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resolve, "_pip", lambda *_: NO_NETWORK + NONE)
    assert resolve.main(["3.11"]) == 0
    assert "cannot be reached" in capsys.readouterr().out
