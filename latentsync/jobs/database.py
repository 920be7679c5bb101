"""The store's file: an SQLite database that several processes of one machine use at once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from latentsync.errors import MediaError
from latentsync.jobs.rows import ADDED, SCHEMA

_BUSY = 20_000  # milliseconds to wait for another process that writes

Run = Callable[..., sqlite3.Cursor]
"""SQL, and the values of its marks."""


class StoreError(MediaError):
    """The store cannot be read or written: a full disk, no permission, another process."""


class DamagedError(StoreError):
    """The store's file is no store, or broken: see jobs.places.open_store."""


class Database:
    """The tables of rows.SCHEMA; used by one thread, as a connection to SQLite is.

    now: the clock. Its methods, too, raise StoreError, and DamagedError where the file is damaged.
    """

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self.path, self.now = path, now
        with self._as_store_error():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Two that make the file at once: the second one waits for the change of its mode.
            with FileLock(path.with_name(f".{path.name}.lock"), timeout=_BUSY / 1000):
                self._connection = sqlite3.connect(path, timeout=_BUSY / 1000, isolation_level=None)
                self._connection.row_factory = sqlite3.Row
                for line in ("journal_mode = wal", "synchronous = full", "foreign_keys = on"):
                    self._connection.execute(f"pragma {line}")
                self._connection.executescript(SCHEMA)
                self._add_columns()
            self._file = path.stat().st_ino

    def close(self) -> None:
        self._connection.close()

    def check_there(self) -> None:
        """Raises StoreError where the file was deleted or replaced since it was opened."""
        try:
            there = self.path.stat().st_ino == self._file
        except OSError:
            there = False
        if not there:
            remedy = "run the same command again: it is made again from the jobs' folders"
            raise StoreError("the store of jobs was deleted meanwhile", self.path, remedy)

    def is_sound(self) -> bool:
        """Raises DamagedError where it cannot even be read."""
        (row,) = self.all("pragma quick_check(1)")
        return bool(row[0] == "ok")

    def all(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """The rows of a query."""
        with self._as_store_error(), closing(self._connection.execute(sql, values)) as cursor:
            return cursor.fetchall()

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        """All of it is done, or nothing."""
        with self._as_store_error(), transaction_of(self._connection) as run:
            yield run

    def _add_columns(self) -> None:
        """Those that a store of an earlier version is without."""
        for table, columns in ADDED.items():
            there = {row["name"] for row in self._connection.execute(f"pragma table_info({table})")}
            for name in columns.keys() - there:
                self._connection.execute(f"alter table {table} add column {name} {columns[name]}")

    @contextmanager
    def _as_store_error(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.OperationalError, OSError, Timeout) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise StoreError("cannot use the store of jobs", self.path, reason) from error
        except sqlite3.DatabaseError as error:
            remedy = f"{error}; run the same command again: it is made again from the jobs' folders"
            raise DamagedError("the store of jobs is damaged", self.path, remedy) from error


@contextmanager
def transaction_of(connection: sqlite3.Connection) -> Iterator[Run]:
    """All of it is done, or nothing."""
    connection.execute("begin immediate")
    try:
        yield lambda sql, *values: connection.execute(sql, values)
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:  # a full disk may have ended it
            connection.execute("rollback")
        raise
