"""Files of an evaluation are told from others, so that nothing else is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsync.errors import MediaError
from latentsync.evaluate.csv_table import write_csv
from latentsync.evaluate.files import (
    evaluation_path,
    is_evaluation,
    is_page,
    is_table,
    page_path,
    write_evaluation,
)
from latentsync.evaluate.page.index import IndexRow, write_index
from latentsync.evaluate.page.write import write_page
from tests.evaluate.made_up import evaluated, measured


def test_each_kind_of_file_is_recognised_and_no_other(tmp_path: Path) -> None:
    made = evaluated(measured("softness", 0.5))
    evaluation, page, index, table = (tmp_path / name for name in ("a", "b", "c", "d"))
    write_evaluation(made, evaluation)
    write_page(made, None, [], page)
    write_index([IndexRow("one.mp4", evaluation=made)], index)
    write_csv([made], table)
    found = [
        [path for path in (evaluation, page, index, table) if is_one(path)]
        for is_one in (is_evaluation, is_page, is_table)
    ]
    assert found == [[evaluation], [page, index], [table]]


def test_what_cannot_be_read_is_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    for path in (tmp_path / "binary", tmp_path / "absent", tmp_path):
        assert not any(is_one(path) for is_one in (is_evaluation, is_page, is_table))


def test_names_are_those_of_the_result() -> None:
    target = evaluation_path(Path("videos/a.b.mp4"))
    assert target == Path("videos/a.b.evaluation.json")
    assert page_path(target) == Path("videos/a.b.evaluation.html")
    assert page_path(Path("x")) == Path("x.html")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = evaluated(measured("softness", 0.5))
    with pytest.raises(MediaError, match="cannot write the evaluation"):
        write_evaluation(made, tmp_path / "file" / "a.json")
    with pytest.raises(MediaError, match="cannot write the table"):
        write_csv([made], tmp_path / "file" / "a.csv")
