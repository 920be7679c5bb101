"""The command that serves: how it starts, what it refuses, and how it ends."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from sse_starlette.sse import AppStatus

from latentsync.commands import serve
from latentsync.commands.server_flags import build_parser, settings_of
from latentsync.server.http.listening import Proxy, bind, is_loopback, url_of
from latentsync.server.settings import ServerSettings

ROOT = Path(__file__).parents[2]
RUNNER = """
import sys
from latentsync.commands.serve import main
code = main(sys.argv[1:])
heavy = {"torch", "diffusers", "openvino", "gradio"} & {name.split(".")[0] for name in sys.modules}
print(code, sorted(heavy))
"""


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what sse_starlette keeps of a signal, for the whole process, is put back."""
    monkeypatch.delenv("LATENTSYNC_TOKEN", raising=False)
    monkeypatch.setattr(AppStatus, "should_exit", False)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_answers_without_torch_and_ends_when_it_is_asked_to(
    tmp_path: Path, number: int, code: int
) -> None:
    line = [sys.executable, "-c", RUNNER, "--no_page", "--port", "0", "--state_dir", str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True, cwd=ROOT) as process:
        assert process.stdout is not None and process.stderr is not None
        url = process.stdout.readline().strip()
        with urlopen(f"{url}healthz", timeout=20) as answer:
            assert answer.status == 200
        process.send_signal(number)
        assert process.stdout.read().splitlines()[-1] == f"{code} []"
        assert process.stderr.read() == ""


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that is printed."""
    assert serve.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_port_in_use_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = str(taken.getsockname()[1])
        line = refusal(capsys, "--no_page", "--port", port, "--state_dir", str(tmp_path))
    assert line == f"error: port: {port}; it is in use; pass --port N, 0 for any"


def test_other_machines_need_a_token(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        line = refusal(capsys, "--no_page", "--listen", address)
        assert line.endswith("set LATENTSYNC_TOKEN, or pass --users FILE")
    monkeypatch.setenv("LATENTSYNC_TOKEN", "too short")
    assert "use at least 16" in refusal(capsys, "--no_page", "--listen", "0.0.0.0")


def test_loopback_is_what_no_other_machine_reaches() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "localhost.example.org")))


def test_a_package_that_is_missing_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    missing = {"fastapi", "gradio"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in missing else find(name)
    )
    assert refusal(capsys, "--port", "0").endswith("pip install '.[server]'")
    missing.remove("fastapi")
    assert "gradio (or pass --no_page)" in refusal(capsys, "--port", "0")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--port", "65536"),
        ("--keep_hours", "-1"),
        ("--max_minutes", "nan"),
        ("--max_queue", "0"),
        ("--allow_folder", "no such folder"),
        ("restore.name=GFPGAN",),
    ],
)
def test_a_flag_that_makes_no_sense_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert refusal(capsys, "--no_page", *arguments).startswith("error: ")


def test_flags_become_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTSYNC_TOKEN", "a token of more than 16")
    line = ["--max_upload", "500M", "--max_minutes", "1.5", "--keep_free", "1g", "--port", "0"]
    line += ["--allow_folder", str(tmp_path), "--host_name", "a.example", "--no_page", "--offline"]
    settings = settings_of(build_parser().read(line))
    limits = settings.limits
    assert (limits.upload, limits.seconds, limits.disk) == (500 << 20, 90.0, 1 << 30)
    assert limits.queue == ServerSettings().limits.queue
    assert (settings.folders, settings.hosts) == ((tmp_path.resolve(),), ("a.example",))
    assert (settings.port, settings.page, settings.offline) == (0, False, True)
    assert settings.demands_token


def test_the_url_is_one_that_a_browser_reaches() -> None:
    def url(host: str, *names: str, root: str = "") -> str:
        return url_of(ServerSettings(host=host, hosts=names), 7860, Proxy(root))

    assert url("127.0.0.1") == "http://127.0.0.1:7860/"
    assert url("::1", root="/dub") == "http://[::1]:7860/dub/"
    assert url("0.0.0.0", "a.example") == "http://a.example:7860/"
