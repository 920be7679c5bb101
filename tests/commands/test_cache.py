"""The cache command says what it removes, and removes nothing that it was not asked to."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsync.commands import cache as command
from latentsync.commands.console import DONE, USER_ERROR
from latentsync.runtime import network
from latentsync.runtime.cache_contents import contents
from latentsync.runtime.execution import REFERENCE
from latentsync.settings.schema import Config
from tests.runtime.test_cache_contents import NOW, converted


@pytest.fixture(autouse=True)
def old_and_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """An outdated network and one in use."""
    monkeypatch.setenv("LATENTSYNC_CACHE", str(tmp_path))
    monkeypatch.setattr(network, "versions", lambda: NOW)
    return converted("VAE", torch="1.0"), converted(size=2_000_000)


def test_the_list_says_what_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["list"]) == DONE
    said = capsys.readouterr().out.splitlines()
    assert any("GFPGAN" in line and "2.0 MB" in line and "in use" in line for line in said)
    assert any("VAE" in line and "another version of torch" in line for line in said)
    assert "2 networks, 2.0 MB" in said[-1]


def test_without_a_terminal_nothing_is_removed_unless_that_is_said(
    old_and_new: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["prune"]) == USER_ERROR
    said = capsys.readouterr()
    assert "VAE" in said.out
    assert "add --yes" in said.err
    assert len(contents()) == 2
    assert command.main(["prune", "--yes"]) == DONE
    assert [one.folder for one in contents()] == [old_and_new[1]]


@pytest.mark.parametrize("flags", [["--all"], ["--size", "0.001"], ["--unused", "0"]])
def test_more_is_removed_if_that_is_asked_for(flags: list[str]) -> None:
    assert command.main(["prune", "--yes", *flags]) == DONE
    assert contents() == []


def test_where_nothing_can_go_nobody_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["prune", "--yes"])
    assert command.main(["prune"]) == DONE
    assert "nothing is removed" in capsys.readouterr().out


def test_a_word_too_many_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["prune", "--yes", "restore.name=GFPGAN"])
    assert "takes no restore.name=GFPGAN" in capsys.readouterr().err
    assert len(contents()) == 2


def test_settings_without_a_network_have_nothing_to_prepare(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command.main(["prepare", "--superres", "Detail"]) == DONE
    assert "run no network that is converted" in capsys.readouterr().out


def test_large_weights_are_not_downloaded_to_prepare_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "latentsync.weights.ensure.fetch_all", lambda *_args: pytest.fail("fetched")
    )
    assert command.main(["prepare", "--superres", "GFPGAN"]) == USER_ERROR
    said = capsys.readouterr().err
    assert "weights are missing: GFPGANv1.4 (348.6 MB)" in said
    assert "download --generator replay --superres GFPGAN" in said


@pytest.mark.parametrize("amount", ["nan", "inf", "-1", "many"])
def test_an_amount_is_a_number_that_is_not_below_0(
    amount: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(["prune", "--yes", f"--size={amount}"])
    assert f"{amount}: use a number that is not below 0" in capsys.readouterr().err


def test_what_is_prepared_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    class Engine:
        execution = REFERENCE

        def __init__(self, config: Config) -> None:
            asked.append(config.restore.name)
            converted("CodeFormer")

        @property
        def lipsync(self) -> Engine:
            converted("U-Net")
            return self

    monkeypatch.setattr("latentsync.pipeline.engine.Engine", Engine)
    wanted = "latentsync.pipeline.requirements.missing_weights"
    monkeypatch.setattr(wanted, lambda _config, *, speech: [])
    monkeypatch.setattr("latentsync.commands.console.use_threads", lambda _count: None)
    assert (
        command.main(["prepare", "restore.name=CodeFormer", "--accept-licence", "CodeFormer"])
        == DONE
    )
    said = capsys.readouterr().out
    assert asked == ["CodeFormer"]
    assert "CodeFormer, whole" in said
    assert "VAE" not in said
    assert "U-Net" not in said
    command.main(["prepare", "--generator", "latentsync"])
    assert "U-Net, whole" in capsys.readouterr().out
