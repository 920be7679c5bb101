"""The page of an evaluation: what it says, what it escapes, and how large it gets."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentsync.errors import MediaError
from latentsync.evaluate.page.pictures import around, fitted
from latentsync.evaluate.page.write import MOST, write_page
from latentsync.evaluate.shots import Shot
from latentsync.evaluate.words import clock
from latentsync.types import Box
from tests.support.evaluations import (
    SECRET,
    made_comparison,
    made_evaluation,
    made_report,
    made_shots,
)


def page(
    folder: Path,
    evaluation: dict[str, Any] | None = None,
    report: dict[str, Any] | None = None,
    shots: list[Shot] | None = None,
) -> str:
    """The text of a page."""
    path = folder / "page.html"
    write_page(evaluation or made_evaluation(), report, shots or [], path)
    return path.read_text("utf-8")


def words(html: str) -> str:
    """What a reader sees of it, without style and script."""
    html = re.sub(r"<(style|script)>.*?</\1>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_it_says_first_what_is_most_important(tmp_path: Path) -> None:
    said = words(page(tmp_path, report=made_report(), shots=made_shots(3)))
    order = ("result.mp4", "The sync is good", "Timeline", "Before and after", "Figures")
    order += ("Not measured", "How it was made", "GFPGAN", "Stages", "Settings", "Versions")
    places = [said.index(one) for one in order]
    assert places == sorted(places)


def test_the_comparison_of_two_results_comes_before_everything(tmp_path: Path) -> None:
    evaluation = made_evaluation() | {"comparison": made_comparison()}
    said = words(page(tmp_path, evaluation | {"other": {"path": "better.mp4"}}))
    assert said.index("Which is better") < said.index("Summary")
    assert "result.mp4 is better in 1 figure; better.mp4 is better in 1 figure; 1 show no" in said
    assert "0.710 0.960 +0.250 0.210 to 0.290 better.mp4 , most at 0:12" in said
    assert "no difference beyond noise" in said


def test_what_the_comparison_says_in_words_stands_above_its_table(tmp_path: Path) -> None:
    evaluation = made_evaluation() | {"comparison": made_comparison()}
    evaluation |= {"other": {"path": "better.mp4"}, "comparison_summary": ["Neither is better."]}
    assert "Which is better Neither is better. Figure result.mp4" in words(
        page(tmp_path, evaluation)
    )


def test_why_something_was_not_measured_is_said_once(tmp_path: Path) -> None:
    evaluation = made_evaluation()
    evaluation["summary"].append("Not measured: syncnet accuracy; its weights are not here.")
    assert words(page(tmp_path, evaluation)).count("its weights are not here") == 1


def test_a_figure_comes_with_everything_that_explains_it(tmp_path: Path) -> None:
    said = words(page(tmp_path))
    row = "Step of colour at the seam The step of colour at the seam of every measured frame, "
    row += "and the mean of them. Measured at 168 moments. "
    row += "2.31 ΔE 2.26 to 2.36 lower is better ! poor "
    row += clock(made_evaluation()["figures"]["seam_colour"]["worst"][0][0])
    assert row in said
    assert "best near 1" in said and "−12.0 ms" in said
    assert "Syncnet accuracy its weights are not here" in said


def test_a_judgement_is_a_word_and_a_sign_not_only_a_colour(tmp_path: Path) -> None:
    said = words(page(tmp_path))
    for shown in ("Sync ✓ good", "Mouth ~ fair", "Seam ! poor", "Rest of the frame ? unknown"):
        assert shown in said


def test_the_job_s_own_report_names_weights_licence_and_sha256(tmp_path: Path) -> None:
    said = words(page(tmp_path, report=made_report()))
    assert f"Weights gfpgan.pth Licence Apache-2.0 SHA-256 {64 * 'e'}" in said
    assert "restore.fade_seconds 0.32" in said
    assert "python -m scripts.inference --input original.mp4" in said


@pytest.mark.parametrize("job", [None, made_evaluation()["job"]])
def test_it_is_made_without_a_report_and_without_pictures(tmp_path: Path, job: Any) -> None:
    said = words(page(tmp_path, made_evaluation() | {"job": job}))
    assert ("The report of the job was not given." in said) == (job is None)
    assert "Before and after" not in said


def test_an_evaluation_of_nothing_has_a_page(tmp_path: Path) -> None:
    bare = {"figures": {}, "summary": [], "not_measured": {}, "spans_seconds": {}}
    bare |= {"cuts_seconds": [], "verdict": {}, "job": None, "source": None, "command": None}
    said = words(page(tmp_path, made_evaluation(seconds=0.0) | bare))
    assert "Nothing was measured." in said


def nasty(value: Any) -> Any:
    """All texts of a JSON with a tag in them; the words that steer the page stay."""
    kept = ("good", "fair", "poor", "unknown", "higher", "lower", "near", "one", "other", "same")
    if isinstance(value, dict):
        return {name: one if name == "group" else nasty(one) for name, one in value.items()}
    if isinstance(value, list):
        return [nasty(one) for one in value]
    return value + SECRET if isinstance(value, str) and value not in kept else value


def test_nothing_from_outside_becomes_markup(tmp_path: Path) -> None:
    evaluation = made_evaluation() | {"comparison": made_comparison(), "audio": SECRET}
    evaluation["not_measured"][SECRET] = SECRET
    shots = [Shot(1.0, 25, None, np.zeros((9, 16, 3), np.uint8), Box(4, 4, 8, 8), SECRET)]
    html = page(tmp_path, nasty(evaluation), nasty(made_report()), shots)
    assert SECRET not in html
    assert html.count("<script>") == html.count("</script>") == 1
    assert "&lt;script&gt;alert(1)" in html


def test_the_worst_value_is_kept_in_a_curve_of_two_hours(tmp_path: Path) -> None:
    evaluation = made_evaluation(seconds=7200.0)
    html = page(tmp_path, evaluation, made_report(frames=180_000), made_shots(24, seconds=7200.0))
    curves = re.findall(r'<path d="([^"]+)" class="curve"', html)
    assert len(curves) == len(evaluation["figures"])
    assert max(len(re.findall("[ML]", one)) for one in curves) <= 500
    assert all(",0.0" in one and ",44.0" in one for one in curves)  # both extremes are drawn
    assert len(html.encode()) < 1_000_000


def noisy(count: int, size: tuple[int, int]) -> list[Shot]:
    """Frames that hardly compress."""
    pixels = np.random.default_rng(3).integers(0, 255, (size[1], size[0], 3), np.uint8)
    mouth = Box(size[0] // 3, size[1] // 2, 2 * size[0] // 3, size[1])
    rolled = [np.roll(pixels, place, axis=0) for place in range(count)]
    return [Shot(place, place, rolled[0], one, mouth, "noise") for place, one in enumerate(rolled)]


def test_24_large_noisy_shots_fit_into_five_megabytes(tmp_path: Path) -> None:
    shots = noisy(24, (720, 400))
    html = page(tmp_path, shots=shots)
    assert 1_000_000 < len(html.encode()) <= MOST
    assert html.count('class="shot"') == 24


def test_shots_that_no_sample_stands_for_fit_as_well() -> None:
    shots = noisy(9, (320, 240))
    flat = [replace(one, before=None, after=np.zeros_like(one.after)) for one in shots]
    mixed = [flat[at] if at % 3 == 0 else shots[at] for at in range(9)]  # every third is a sample
    assert sum(one.size for one in fitted(mixed, 200_000)) <= 200_000


def test_even_very_many_shots_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("latentsync.evaluate.page.write.MOST", 300_000)
    html = page(tmp_path, shots=noisy(24, (320, 240)))
    assert len(html.encode()) <= 300_000
    shown = html.count('class="shot"')
    assert f"{shown} of 24 are shown" in html


def test_a_mouth_at_the_edge_is_cut_inside_of_the_frame() -> None:
    assert around(Box(-10, 30, 50, 70), (60, 100)) == Box(0, 20, 65, 60)
    assert around(Box(5, 5, 5, 5), (60, 100)).empty


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MediaError, match="cannot write the page"):
        write_page(made_evaluation(), None, [], tmp_path / "file" / "page.html")
