"""What is kept of the evaluations of many videos."""

from __future__ import annotations

import json
from pathlib import Path

from latentsync.commands.judging import Evaluations
from latentsync.commands.to_evaluate import Wanted
from latentsync.evaluate.judge import Case, Judgement
from tests.evaluate.made_up import evaluated, measured


def test_curves_are_written_and_not_kept(tmp_path: Path) -> None:
    made = evaluated(measured("softness", 0.5))
    target = tmp_path / "a.evaluation.json"
    wanted = Wanted(tmp_path / "a.mp4", None, None, target, page=None)
    evaluations = Evaluations()
    evaluations.write(wanted, Case(wanted.result), Judgement(made, []), made)
    assert len(json.loads(target.read_text("utf-8"))["figures"]["softness"]["curve"]) > 100
    (kept,) = evaluations.done
    assert "curve" not in kept["figures"]["softness"]
    assert kept["figures"]["softness"]["value"] == made["figures"]["softness"]["value"]
