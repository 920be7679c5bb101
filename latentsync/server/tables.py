"""The server's own SQLite file, used from several threads of one process."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from latentsync.jobs.database import Run, transaction_of
from latentsync.server.errors import ApiError

_BUSY = 20.0  # seconds to wait for another process that writes


class Tables:
    """One connection, one thread at a time. Raises ApiError: 507 of the disk, 500 for a file that
    is damaged."""

    def __init__(self, path: Path, schema: str) -> None:
        self._lock, self._path = threading.RLock(), path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._as_api_error():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY, isolation_level=None, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            for line in ("journal_mode = wal", "synchronous = full", "foreign_keys = on"):
                self._connection.execute(f"pragma {line}")
            self._connection.executescript(schema)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def all(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """The rows of a query."""
        with self._lock, self._as_api_error():
            return self._connection.execute(sql, values).fetchall()

    def run(self, sql: str, *values: object) -> int:
        """Changes rows; returns how many."""
        with self._lock, self._as_api_error():
            return self._connection.execute(sql, values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        """All of it is done, or nothing."""
        with self._lock, self._as_api_error(), transaction_of(self._connection) as run:
            yield run

    @contextmanager
    def _as_api_error(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.OperationalError as error:
            message = f"the server's records cannot be used: {error}; try again later"
            raise ApiError(507, "records", message) from error
        except sqlite3.DatabaseError as error:
            remedy = "move it away, and start again without the uploads and jobs that it names"
            message = f"the server's records are damaged: {self._path}; {remedy}"
            raise ApiError(500, "records", message) from error
