"""The page of a batch."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from latentsync.evaluate.page.index import IndexRow, thumbnail, write_index
from tests.support.evaluations import SECRET, made_evaluation


def index(folder: Path, *rows: IndexRow) -> str:
    path = folder / "index.html"
    write_index(rows, path)
    return path.read_text("utf-8")


def row(name: str, *, sync: str, seconds: float = 3.0, value: float = 6.0) -> IndexRow:
    evaluation = made_evaluation(seconds=seconds, name=name)
    evaluation["verdict"]["sync"] = sync
    evaluation["figures"]["sync_confidence"]["value"] = value
    return IndexRow(name, f"{name}.html", np.zeros((90, 160, 3), np.uint8), evaluation)


def order(html: str, column: int) -> list[str]:
    """Names of the videos, by the places that a column's cells say."""
    found = []
    for text in re.findall(r'<tr[^>]*><th scope="row".*?</tr>', html):
        keys = re.findall(r'data-key="(\d+)"', text)
        names = re.findall(r"<span>([^<]+)</span>", text)
        found.append((int(keys[min(column, len(keys) - 1)]), names[0]))
    return [name for _, name in sorted(found)]


def test_each_column_sorts_by_what_it_means(tmp_path: Path) -> None:
    rows = (
        row("b.mp4", sync="good", seconds=100.0, value=5.0),
        row("A.mp4", sync="poor", seconds=9.0),
        row("c.mp4", sync="good", seconds=20.0, value=7.0),
        IndexRow("d.mp4", error="it is no video"),
    )
    html = index(tmp_path, *rows)
    assert order(html, 0) == ["A.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert order(html, 1) == ["A.mp4", "c.mp4", "b.mp4", "d.mp4"]
    assert order(html, 2) == ["c.mp4", "b.mp4", "A.mp4", "d.mp4"]  # the grade, then the figure


def test_a_failed_video_is_named_with_the_reason(tmp_path: Path) -> None:
    html = index(tmp_path, row("a.mp4", sync="good"), IndexRow("bad.mp4", error="no face"))
    assert "2 videos, 1 of them failed." in html
    assert re.search(r"bad\.mp4.*failed</span> no face", html)


def test_names_and_links_are_harmless(tmp_path: Path) -> None:
    one = row("a.mp4", sync="good")
    nasty = IndexRow(SECRET, f"javascript:{SECRET}", one.thumbnail, one.evaluation)
    html = index(tmp_path, nasty, IndexRow(SECRET, error=SECRET))
    assert SECRET not in html
    assert 'href="javascript%3A%22%3E%3Cscript' in html
    assert 'href="a%20%231.html"' in index(tmp_path, IndexRow("a", "a #1.html"))


def test_a_row_keeps_a_small_picture() -> None:
    assert thumbnail(np.zeros((720, 1280, 3), np.uint8)).shape == (112, 200, 3)
