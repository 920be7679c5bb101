"""Tells the URLs that users give when their jobs have ended, signed, until they answer.

The layout is that of standard webhooks: the header webhook-signature holds the HMAC-SHA256 of
"ID.TIMESTAMP.BODY". What is to be sent is in server.sqlite, so that a restart loses nothing; a
message may arrive twice, with the same webhook-id.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import httpx2

from latentsync.errors import ConfigError
from latentsync.server.errors import ApiError
from latentsync.server.internet.addresses import PUBLIC, Reach, locate
from latentsync.server.internet.pinned import answer_of
from latentsync.server.settings import ServerSettings
from latentsync.server.tables import Tables
from latentsync.server.views import JobView

logger = logging.getLogger(__name__)

SECONDS = 10.0
"""That a receiver may take."""
WAITS = (5.0, 30.0, 120.0, 600.0, 3600.0)
"""Seconds after each attempt that failed; after one more it is given up."""
TOLERANCE = 300.0
"""Seconds by which a receiver's clock may differ."""
AT_ONCE = 8
_LONGEST_SLEEP = 60.0
_KEPT = 30 * 24 * 3600.0
"""Seconds that it is known how a delivery ended."""
_GONE = 410
"""The status of a receiver that wants no more."""
_ENCODED = "whsec_"
"""What a secret begins with whose rest is base64, as libraries for receivers have it."""

WAITING, DELIVERED, GIVEN_UP = "waiting", "delivered", "given up"

SCHEMA = """
create table if not exists deliveries (
    id text primary key, job text not null, url text not null, body text not null,
    attempts integer not null default 0, next real not null, state text not null default 'waiting',
    last_error text);
create index if not exists deliveries_that_are_due on deliveries (state, next);
"""
"""id: of the message, the same at each attempt. next: when it is to be sent."""


class Webhooks:
    """The deliveries of one server. now: the clock, seconds since the epoch."""

    def __init__(
        self,
        settings: ServerSettings,
        records: Path,
        *,
        reach: Reach = PUBLIC,
        now: Callable[[], float] = time.time,
    ) -> None:
        """records: the server's SQLite file. Raises ConfigError for a secret that is none."""
        self._settings, self._reach, self._now = settings, reach, now
        self._key = key_of(settings.webhook_secret) if settings.webhook_secret else None
        self._tables, self._added = Tables(records, SCHEMA), asyncio.Event()

    def close(self) -> None:
        self._tables.close()

    async def check(self, url: str) -> None:
        """Raises ApiError (422) where nothing could be sent there."""
        if self._key is None or self._settings.offline:
            reason = "is offline" if self._settings.offline else "has no secret to sign them with"
            message = f"this server sends no webhooks: it {reason}; leave webhook out, and ask it"
            raise ApiError(422, "webhook", message, "webhook")
        await locate(url, "webhook", self._reach)

    def add(self, job: JobView, url: str) -> None:
        """The job has ended: it is sent as it is now. The same end again changes nothing."""
        ended = job.completed_at or job.created_at
        body = json.dumps(asdict(job), ensure_ascii=False, allow_nan=False, default=str)
        self._tables.run(
            "insert or ignore into deliveries (id, job, url, body, next) values (?, ?, ?, ?, ?)",
            *(f"{job.id}.{job.state}.{ended:.3f}", job.id, url, body, self._now()),
        )
        self._added.set()

    def forget(self, job_id: str) -> None:
        """Nothing more is sent of a job that was deleted."""
        self._tables.run("delete from deliveries where job = ?", job_id)

    async def run(self) -> None:
        """Delivers what is due, until it is cancelled."""
        while True:
            self._added.clear()
            try:
                self._forget_old()
                await asyncio.gather(*(self._deliver(row) for row in self._due()))
                seconds = self._seconds_left()
            except ApiError as error:  # of the disk
                logger.warning("webhooks wait: %s", error)
                seconds = _LONGEST_SLEEP
            with suppress(TimeoutError):
                await asyncio.wait_for(self._added.wait(), seconds)

    def _forget_old(self) -> None:
        old = self._now() - _KEPT
        self._tables.run("delete from deliveries where state != ? and next < ?", WAITING, old)

    def _due(self) -> list[sqlite3.Row]:
        return self._tables.all(
            "select * from deliveries where state = ? and next <= ? order by next limit ?",
            *(WAITING, self._now(), AT_ONCE),
        )

    def _seconds_left(self) -> float:
        """Until the next one is due."""
        (row,) = self._tables.all(
            "select min(next) as next from deliveries where state = ?", WAITING
        )
        left = _LONGEST_SLEEP if row["next"] is None else row["next"] - self._now()
        return min(max(left, 0.0), _LONGEST_SLEEP)

    async def _deliver(self, row: sqlite3.Row) -> None:
        error, last = await self._error_of(row), row["attempts"] >= len(WAITS)
        if error is None:
            state, wait = DELIVERED, 0.0
        elif last or error == _refused(_GONE):
            state, wait = GIVEN_UP, 0.0
            text = f"webhook not delivered after {row['attempts'] + 1} attempts: {error}"
            self._settings.jobs.note(row["job"], text)
            logger.warning("job %s: %s", row["job"], text)
        else:
            state, wait = WAITING, WAITS[row["attempts"]]
        self._tables.run(
            "update deliveries set attempts = attempts + 1, next = ?, state = ?, last_error = ?"
            " where id = ?",
            *(self._now() + wait, state, error, row["id"]),
        )

    async def _error_of(self, row: sqlite3.Row) -> str | None:
        """Sends it. Returns what went wrong; None: nothing."""
        if self._key is None or self._settings.offline:
            return "this server sends no webhooks any more"
        body, at = row["body"].encode("utf-8"), str(int(self._now()))
        headers = {
            "Content-Type": "application/json",
            "webhook-id": row["id"],
            "webhook-timestamp": at,
            "webhook-signature": signature(self._key, row["id"], at, body),
        }
        try:
            async with asyncio.timeout(SECONDS):
                to = await locate(row["url"], "webhook", self._reach)
                async with answer_of(
                    "POST", to, seconds=SECONDS, headers=headers, body=body, reach=self._reach
                ) as response:
                    return None if response.is_success else _refused(response.status_code)
        except ApiError as error:
            return str(error)
        except (TimeoutError, httpx2.TimeoutException):
            return f"no answer within {SECONDS:g} seconds"
        except Exception as error:  # whatever one receiver does, the others are served
            logger.info("webhook %s", row["id"], exc_info=True)
            return f"the connection fails: {type(error).__name__}"


def _refused(status: int) -> str:
    return f"it was answered with {status}"


def key_of(secret: str) -> bytes:
    """Raises ConfigError: it begins as an encoded one, and is none."""
    if not secret.startswith(_ENCODED):
        return secret.encode("utf-8")
    try:
        return base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
    except binascii.Error as error:
        remedy = f"after {_ENCODED} give base64, or a secret that begins otherwise"
        raise ConfigError("webhook secret", f"{_ENCODED}...", remedy) from error


def signature(key: bytes, message_id: str, at: str, body: bytes) -> str:
    """What the header webhook-signature holds. at: seconds since the epoch."""
    signed = f"{message_id}.{at}.".encode() + body
    made = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(made).decode()}"


def verify(
    secret: str, headers: Mapping[str, str], body: bytes, tolerance: float = TOLERANCE
) -> bool:
    """For receivers: whether the message was signed with the secret, and not long ago.

    headers: of the request, with names in lower case. body: as it came, byte for byte. tolerance:
    seconds. Remember each webhook-id for as long: the same may arrive twice.
    """
    message_id, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not at.isdecimal() or abs(time.time() - int(at[:20])) > tolerance:
        return False
    expected = signature(key_of(secret), message_id, at, body).encode()
    given = headers.get("webhook-signature", "").encode().split()
    return any(hmac.compare_digest(expected, one) for one in given)
