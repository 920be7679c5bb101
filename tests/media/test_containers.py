"""docs/containers.md states what becomes of everything beside the frames, in each container."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.container_table import DOCUMENT, FIRST, LAST, LOST, NAMED, table


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> str:
    return table(tmp_path_factory.mktemp("containers"))


def test_the_table_in_the_docs_is_what_is_found(found: str) -> None:
    written = Path(DOCUMENT).read_text("utf-8").split(FIRST)[1].split(LAST)[0]
    assert written == found, "python -m tests.support.container_table writes it anew"


def test_nothing_is_lost_without_a_word(found: str) -> None:
    assert LOST not in found and NAMED in found
