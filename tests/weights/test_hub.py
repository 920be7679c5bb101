"""Files of the hub arrive in its cache, verified; errors are one line.

Each fetch is a process of its own: the hub's library reads its variables when it is imported.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.loopback import Loopback, Served

ROOT = Path(__file__).parents[2]
BODY = np.random.default_rng(1).bytes(600_000)
REPO, FILE = "someone/nets", "sub/net.pt"
SETTINGS = re.compile(r"HF_|HUGGINGFACE|TRANSFORMERS_|.*_proxy$", re.IGNORECASE)
PATH = f"/{REPO}/resolve/main/{FILE}"

CHILD = """
import contextlib, json, sys
from latentsync.errors import CheckpointError
from latentsync.weights import hub
from latentsync.weights.download import RetryPolicy

@contextlib.contextmanager
def bar(title, total):
    assert title == "someone/nets/sub/net.pt" or total < 100
    yield lambda count: None

repo, filename, size, sha256 = json.loads(sys.argv[1])
retry = RetryPolicy(attempts=2, first_wait=0.01, longest_wait=0.1, stall=2)
try:
    print(hub.fetch(repo, filename, size=size, sha256=sha256, progress=bar, retry=retry))
except CheckpointError as error:
    print(type(error).__name__, error)
    sys.exit(2)
"""


class Hub:
    """A mirror of the hub, and processes that fetch from it."""

    def __init__(self, server: Loopback, folder: Path) -> None:
        self.server, self.home = server, folder / "hf"
        self.repo = self.home / "hub" / "models--someone--nets"
        self.variables = {k: v for k, v in os.environ.items() if not SETTINGS.match(k)} | {
            "HF_HOME": str(self.home),
            "HF_ENDPOINT": server.address,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_VERBOSITY": "error",  # as latentsync.commands.quiet has it
            "XDG_STATE_HOME": str(folder / "state"),
        }

    def run(self, code: str, *arguments: str, **variables: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=ROOT,
            env=self.variables | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(self, repo=REPO, file=FILE, size=None, sha256=None, **variables) -> subprocess.Popen:
        return self.run(CHILD, json.dumps([repo, file, size, sha256]), **variables)

    def fetch(self, **asked) -> Path:
        job = self.start(**asked)
        said, errors = job.communicate(timeout=60)
        assert (job.returncode, errors) == (0, ""), said + errors
        return Path(said.strip())

    def refusal(self, kind: str = "SourceError", **asked) -> str:
        job = self.start(**asked)
        said, errors = job.communicate(timeout=60)
        assert (job.returncode, errors) == (2, ""), said + errors
        assert said.startswith(f"{kind} ")
        assert said.count("\n") == 1
        return said

    def blobs(self) -> set[str]:
        return {path.name for path in (self.repo / "blobs").glob("*")}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Loopback() as server:
        yield Hub(server, tmp_path)


# --- what arrives ---


def test_a_file_is_stored_once_where_the_library_finds_it(hub) -> None:
    digest = hub.server.add_to_hub(REPO, FILE, Served(BODY))
    path = hub.fetch(size=len(BODY), sha256=digest)
    assert path.read_bytes() == BODY
    assert path.parent.parent.parent == hub.repo / "snapshots"
    assert hub.blobs() == {digest}
    asked = len(hub.server.asked)
    assert hub.fetch(size=len(BODY), sha256=digest) == path
    assert len(hub.server.asked) == asked
    code = f"from huggingface_hub import hf_hub_download as get; print(get({REPO!r}, {FILE!r}))"
    said, _ = hub.run(code, HF_HUB_OFFLINE="1").communicate(timeout=60)
    assert said.strip() == str(path)


def test_a_small_file_has_no_hash_to_check_and_arrives(hub) -> None:
    hub.server.add_to_hub(REPO, "config.json", Served(b"{}", headers={"X-Linked-Etag": '"ab12"'}))
    assert hub.fetch(file="config.json").read_bytes() == b"{}"
    assert hub.blobs() == {"ab12"}


def test_the_token_goes_to_the_hub_but_not_to_its_store(hub) -> None:
    with Loopback() as store:
        there = store.add("/blob", Served(BODY))
        hub.server.add_to_hub(REPO, FILE, Served(BODY, redirect=there))
        path = hub.fetch(HF_TOKEN="hf_secret")
        assert path.read_bytes() == BODY
        assert "authorization" not in store.requests("/blob")[0].headers
    for method in ("HEAD", "GET"):
        asked = hub.server.requests(PATH, method)
        assert {one.headers.get("authorization") for one in asked} == {"Bearer hf_secret"}


def test_a_killed_fetch_is_resumed(hub) -> None:
    served = Served(BODY, pause=0.05, block=20_000)
    digest = hub.server.add_to_hub(REPO, FILE, served)
    job = hub.start()
    deadline = time.monotonic() + 30
    while hub.server.sent() < 200_000 and job.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    job.send_signal(signal.SIGKILL)
    job.communicate()
    [part] = (hub.repo / "blobs").glob(f"{digest}.*.part")
    have = part.stat().st_size
    assert have > 0
    served.pause = 0
    assert hub.fetch().read_bytes() == BODY
    assert hub.server.requests(PATH)[-1].range == f"bytes={have}-"
    assert hub.blobs() == {digest}


def test_a_request_to_a_busy_hub_is_repeated(hub) -> None:
    hub.server.add_to_hub(REPO, FILE, Served(BODY, failures=[503, 502]))
    assert hub.fetch().read_bytes() == BODY


def test_files_that_are_also_in_the_hubs_own_store_come_by_plain_http(hub) -> None:
    headers = {"X-Xet-Hash": "0" * 64, "X-Xet-Refresh-Route": "/api/xet"}
    hub.server.add_to_hub(REPO, FILE, Served(BODY, headers=headers))
    assert hub.fetch().read_bytes() == BODY


def test_on_a_system_without_links_the_file_lies_there_once(hub) -> None:
    hub.server.add_to_hub(REPO, FILE, Served(BODY))
    path = hub.fetch(HF_HUB_DISABLE_SYMLINKS="1")
    assert path.read_bytes() == BODY
    assert not path.is_symlink()
    assert hub.blobs() == set()


# --- what is not the wanted file ---


def test_wrong_bytes_are_kept_aside_and_never_entered(hub) -> None:
    digest = hub.server.add_to_hub(REPO, FILE, Served(BODY))
    hub.server.files[PATH].body = BODY[::-1]
    assert "sha256" in hub.refusal(sha256=digest)
    [aside] = hub.blobs()
    assert aside.startswith(f"{digest}.wrong-")
    assert not list(hub.repo.glob("snapshots/*/*/*"))


def test_another_version_is_refused_before_a_byte_of_it(hub) -> None:
    hub.server.add_to_hub(REPO, FILE, Served(BODY))
    assert f"file has 600,000 bytes, not {len(BODY) + 1:,}" in hub.refusal(size=len(BODY) + 1)
    assert f"not {'0' * 64}" in hub.refusal(sha256="0" * 64)
    assert not hub.server.requests(PATH)


def test_a_file_that_was_damaged_in_the_cache_is_fetched_again(hub) -> None:
    digest = hub.server.add_to_hub(REPO, FILE, Served(BODY))
    path = hub.fetch()
    path.resolve().write_bytes(BODY[::-1])
    assert hub.fetch() == path
    assert path.read_bytes() == BODY
    assert len(hub.blobs() - {digest}) == 1


def test_another_version_in_the_cache_is_left_alone_and_not_given(hub) -> None:
    digest = hub.server.add_to_hub(REPO, FILE, Served(BODY))
    path = hub.fetch()
    code = (
        "from latentsync.weights.hub import cached\n"
        f"ask = lambda **known: cached({REPO!r}, {FILE!r}, **known)\n"
        f"print(ask(), ask(size={len(BODY)}, sha256={digest!r}))\n"
        "print(ask(size=1), ask(sha256='0' * 64), cached('someone/else', 'a'))"
    )
    said, errors = hub.run(code, HF_ENDPOINT="http://127.0.0.1:1").communicate(timeout=60)
    assert said.splitlines() == [f"{path} {path}", "None None None"], errors
    hub.refusal(sha256="0" * 64)
    assert path.read_bytes() == BODY


# --- what the hub cannot give, in one line ---


def test_what_is_not_on_the_hub_is_named_with_its_address(hub) -> None:
    hub.server.add_to_hub(REPO, FILE, Served(BODY))
    said = hub.refusal(repo="someone/else")
    assert f"someone/else/{FILE}: {hub.server.address}: no such repository" in said
    assert "HF_TOKEN" in said
    assert f"{hub.server.address}: the repository has no such file" in hub.refusal(file="net2.pt")


def test_a_gated_file_asks_for_a_token(hub) -> None:
    # The library would print the second one too; only the one line is printed.
    headers = {"X-Error-Code": "GatedRepo", "X-HF-Warning": "gate; you are not signed in"}
    gated = Served(BODY, failures=[403] * 3, failure_headers=headers)
    hub.server.add_to_hub(REPO, FILE, gated)
    said = hub.refusal()
    assert "licence has to be accepted" in said
    assert "HF_TOKEN" in said
    assert len(hub.server.requests(PATH, "HEAD")) == 1


def test_offline_means_no_request(hub) -> None:
    hub.server.add_to_hub(REPO, FILE, Served(BODY))
    assert "unset HF_HUB_OFFLINE" in hub.refusal(HF_HUB_OFFLINE="1")
    assert not hub.server.asked


def test_offline_is_read_as_the_library_reads_it(hub) -> None:
    code = (
        "import sys; from latentsync.weights.hub import is_offline\n"
        "print(is_offline(), 'huggingface_hub' in sys.modules)"
    )
    answers = {
        value: hub.run(code, HF_HUB_OFFLINE=value).communicate(timeout=60)[0].split()
        for value in ("", "0", "1", "yes")
    }
    assert answers == {
        "": ["False", "False"],
        "0": ["False", "True"],
        "1": ["True", "True"],
        "yes": ["True", "True"],
    }


def test_an_endpoint_that_is_closed_is_given_up_within_seconds(hub) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    begun = time.monotonic()
    said = hub.refusal(HF_ENDPOINT=address)
    assert time.monotonic() - begun < 8
    assert f"{address}: " in said
    assert "HF_ENDPOINT" in said


@pytest.mark.parametrize("address", [None, "hub.invalid", ""])
def test_an_endpoint_that_is_no_hub_is_named(hub, address) -> None:
    hub.server.add(PATH, Served(BODY))
    address = hub.server.address if address is None else address
    said = hub.refusal(HF_ENDPOINT=address)
    assert f"{address or 'an empty HF_ENDPOINT'}: " in said
    assert "set HF_ENDPOINT to the hub" in said


def test_a_cache_that_cannot_be_written_is_no_fault_of_the_hub(hub) -> None:
    hub.server.add_to_hub(REPO, FILE, Served(BODY))
    hub.home.write_text("a file")
    assert str(hub.home) in hub.refusal("CheckpointError")
