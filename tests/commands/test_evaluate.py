"""The evaluate command: which files it takes, what it writes, and how it ends."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latentsync.commands import evaluate, judging
from latentsync.errors import FaceNotFoundError
from latentsync.evaluate.judge import Case, Judgement
from tests.evaluate.made_up import measured, report
from tests.evaluate.made_up import evaluated as made_up_evaluation

DEMO = Path("assets/demo_lipsynced.mp4").resolve()
SOFTNESS = {"one.mp4": 0.5, "two.mp4": 1.5}


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """The cases that were judged: by their names, in no time. A name with "faceless" fails."""
    cases: list[Case] = []

    def judge(_engine: object, case: Case, **_: object) -> Judgement:
        cases.append(case)
        if "faceless" in case.result.name:
            raise FaceNotFoundError("no face in the video", case.result, "name another")
        found = [measured("softness", SOFTNESS.get(case.result.name, 1.0))]
        about = {"result": made_up_video(case.result)}
        return Judgement(made_up_evaluation(*found, about=about), found)

    monkeypatch.setattr(judging, "judge", judge)
    monkeypatch.setattr(judging, "evaluation_engine", lambda config: FakeEngine())
    monkeypatch.setattr(judging, "use_threads", lambda count: None)
    monkeypatch.setattr(judging, "torch_threads", lambda execution, networks: 1)
    return cases
