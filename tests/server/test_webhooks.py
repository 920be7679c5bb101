"""What is sent when a job has ended, to whom, and how often."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from latentsync.errors import ConfigError
from latentsync.server.errors import ApiError
from latentsync.server.internet import webhooks
from latentsync.server.internet.webhooks import WAITS, Webhooks, verify
from latentsync.server.settings import ServerSettings
from latentsync.server.views import COMPLETED, FAILED, JobView
from tests.support.loopback import Served
from tests.support.secure import SecureLoopback

SECRET = "a secret that is long enough"
ENDED = 1_800_000_000.5


def a_job(job_id: str = "a" * 32, state: str = COMPLETED) -> JobView:
    nothing = dict.fromkeys(field.name for field in dataclasses.fields(JobView))
    known = {"id": job_id, "name": "Grüße", "state": state, "created_at": 1.0, "links": {}}
    return JobView(**{**nothing, **known, "completed_at": ENDED})


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@dataclasses.dataclass
class Sender:
    """Webhooks, a server that receives them, and the clock."""

    hooks: Webhooks
    server: SecureLoopback
    clock: Clock
    settings: ServerSettings

    def url(self, **faults) -> str:
        return self.server.add("/hook", Served(b"thanks", **faults))

    def work(self) -> None:
        """Until nothing is due."""

        async def working() -> None:
            running = asyncio.create_task(self.hooks.run())
            while self.hooks._due():
                await asyncio.sleep(0.01)
            running.cancel()

        asyncio.run(working())

    def states(self) -> list[tuple[str, int]]:
        rows = self.hooks._tables.all("select state, attempts from deliveries order by id")
        return [tuple(row) for row in rows]

    @property
    def last_error(self) -> str:
        (row,) = self.hooks._tables.all("select last_error from deliveries")
        return row["last_error"]


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[Sender]:
    settings, clock = ServerSettings(root=tmp_path, webhook_secret=SECRET), Clock()
    with SecureLoopback() as server:
        records = tmp_path / "server.sqlite"
        hooks = Webhooks(settings, records, reach=server.reach(), now=clock)
        yield Sender(hooks, server, clock, settings)
        hooks.close()


def test_a_job_that_has_ended_is_posted_as_it_is_with_a_signature(sender: Sender) -> None:
    job = a_job()
    sender.hooks.add(job, sender.url())
    sender.work()
    (asked,) = sender.server.requests("/hook", "POST")
    assert json.loads(asked.body) == dataclasses.asdict(job)
    assert asked.headers["content-type"] == "application/json"
    assert verify(SECRET, asked.headers, asked.body)
    assert sender.states() == [("delivered", 1)]


def test_a_signature_is_of_secret_id_time_and_body_and_not_old(sender: Sender) -> None:
    sender.hooks.add(a_job(), sender.url())
    sender.work()
    (asked,) = sender.server.requests("/hook", "POST")
    headers, body = asked.headers, asked.body
    sent = int(headers["webhook-timestamp"])
    assert not verify("another secret", headers, body)
    assert not verify(SECRET, headers, body + b" ")
    assert not verify(SECRET, {**headers, "webhook-id": "b"}, body)
    assert not verify(SECRET, {**headers, "webhook-timestamp": str(sent + 1)}, body)
    assert not verify(SECRET, {**headers, "webhook-timestamp": "soon"}, body)
    assert not verify(SECRET, {}, body)
    assert not verify(SECRET, headers, body, tolerance=-1)
    several = f"v1,AAAA {headers['webhook-signature']}"
    assert verify(SECRET, {**headers, "webhook-signature": several}, body)


def test_a_message_of_another_day_is_no_longer_genuine() -> None:
    body, old = b"{}", str(int(time.time()) - 301)
    made = webhooks.signature(SECRET.encode(), "a", old, body)
    headers = {"webhook-id": "a", "webhook-timestamp": old, "webhook-signature": made}
    assert not verify(SECRET, headers, body)
    assert verify(SECRET, headers, body, tolerance=400)


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of the specification's reference libraries."""
    key = webhooks.key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = webhooks.signature(
        key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}'
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_in_base64_that_is_none_is_refused(tmp_path: Path) -> None:
    settings = ServerSettings(root=tmp_path, webhook_secret="whsec_%")
    with pytest.raises(ConfigError, match="base64"):
        Webhooks(settings, tmp_path / "server.sqlite")
    assert webhooks.key_of("whsec_" + base64.b64encode(b"key").decode()) == b"key"


def test_a_receiver_that_fails_is_asked_again_later_with_the_same_id(sender: Sender) -> None:
    sender.hooks.add(a_job(), sender.url(failures=[500, 429]))
    for wait in WAITS[:2]:
        sender.work()
        sender.clock.now += wait - 1
        sender.work()
        sender.clock.now += 1
    sender.work()
    first, *others = sender.server.requests("/hook", "POST")
    assert [asked.status for asked in (first, *others)] == [500, 429, 200]
    assert {asked.headers["webhook-id"] for asked in others} == {first.headers["webhook-id"]}
    assert others[-1].headers["webhook-timestamp"] > first.headers["webhook-timestamp"]
    assert sender.states() == [("delivered", 3)]


def test_after_the_last_attempt_it_is_given_up_and_the_log_of_the_job_says_so(
    sender: Sender,
) -> None:
    job = a_job()
    log = sender.settings.jobs.folder(job.id) / "log.txt"
    log.parent.mkdir(parents=True)
    sender.hooks.add(job, sender.url(failures=[503] * 99))
    for wait in (*WAITS, 0.0, 1e6):
        sender.work()
        sender.clock.now += wait
    assert sender.states() == [("given up", len(WAITS) + 1)]
    assert len(sender.server.requests("/hook", "POST")) == len(WAITS) + 1
    assert log.read_text() == "webhook not delivered after 6 attempts: it was answered with 503\n"


def test_a_receiver_that_is_gone_is_not_asked_again(sender: Sender) -> None:
    sender.hooks.add(a_job(), sender.url(failures=[410]))
    sender.work()
    assert sender.states() == [("given up", 1)]


def test_a_restart_loses_nothing(sender: Sender, tmp_path: Path) -> None:
    sender.hooks.add(a_job(), sender.url())
    sender.hooks.close()
    sender.hooks = Webhooks(
        sender.settings, tmp_path / "server.sqlite", reach=sender.server.reach(), now=sender.clock
    )
    sender.work()
    assert sender.states() == [("delivered", 1)]


def test_the_same_end_is_told_once_and_another_end_again(sender: Sender) -> None:
    url, job = sender.url(), a_job(state=FAILED)
    sender.hooks.add(job, url)
    sender.work()
    sender.hooks.add(job, url)
    sender.hooks.add(dataclasses.replace(job, completed_at=ENDED + 60), url)
    sender.work()
    assert len(sender.server.requests("/hook", "POST")) == 2


def test_nothing_is_told_of_a_job_that_was_deleted(sender: Sender) -> None:
    sender.hooks.add(a_job(), sender.url())
    sender.hooks.forget(a_job().id)
    sender.work()
    assert sender.server.asked == []


def test_a_redirect_is_not_followed(sender: Sender) -> None:
    sender.hooks.add(a_job(), sender.url(redirect=sender.server.url("/elsewhere")))
    sender.work()
    assert [asked.path for asked in sender.server.asked] == ["/hook"]
    assert sender.states() == [("waiting", 1)]
    assert sender.last_error == "it was answered with 302"


def test_a_receiver_that_does_not_answer_holds_up_no_other(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "SECONDS", 0.5)
    slow = sender.server.add("/slow", Served(b"x", failures=[500], delay=2.0))
    sender.hooks.add(a_job("b" * 32), slow)
    sender.hooks.add(a_job("a" * 32), sender.url())
    sender.work()
    assert sender.states() == [("delivered", 1), ("waiting", 1)]


def test_an_address_that_became_private_is_not_connected_to(sender: Sender) -> None:
    url = sender.url()
    strict = dataclasses.replace(sender.server.reach(), local=False)
    sender.hooks._reach = dataclasses.replace(strict, lookup=lambda *_: ("93.184.216.34",))
    asyncio.run(sender.hooks.check(url))
    sender.hooks.add(a_job(), url)
    sender.hooks._reach = strict  # its name leads to this machine by now
    sender.work()
    assert sender.server.asked == []
    assert "no public address" in sender.last_error


@pytest.mark.parametrize(
    ("changed", "url", "said"),
    (
        ({"webhook_secret": None}, "https://media.example/", "no secret"),
        ({"offline": True}, "https://media.example/", "offline"),
        ({}, "http://media.example/", "https://"),
        ({}, "https://127.0.0.1/", "no public address"),
        ({}, "https://localhost/", "no public address"),
    ),
)
def test_where_nothing_can_be_sent_is_said_before_there_is_a_job(
    tmp_path: Path, changed: dict[str, object], url: str, said: str
) -> None:
    settings = ServerSettings(**{"root": tmp_path, "webhook_secret": SECRET, **changed})
    with pytest.raises(ApiError, match=said) as caught:
        asyncio.run(Webhooks(settings, tmp_path / "server.sqlite").check(url))
    assert (caught.value.status, caught.value.field) == (422, "webhook")
