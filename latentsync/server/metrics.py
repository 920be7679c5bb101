"""Figures of the server in the text format of Prometheus."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from latentsync.jobs.store import Store
from latentsync.server.jobs.job_store import JobStore
from latentsync.server.jobs.states import WORDS
from latentsync.server.quick.tasks import QuickWork
from latentsync.server.records import Records
from latentsync.server.settings import ServerSettings


def metrics_text(
    settings: ServerSettings, store: JobStore, records: Records, quick: QuickWork
) -> str:
    jobs = dict.fromkeys(WORDS.values(), 0) | store(_by_state)
    return "".join(
        (
            _metric("jobs", "Jobs that are kept, by their state", jobs, "state"),
            _metric("tasks_unfinished", "Previews, estimates and the like", quick.count()),
            _metric("uploads", "Uploads that are kept", records.count("uploads")),
            _metric(
                "disk_free_bytes",
                "Of the server's disk",
                shutil.disk_usage(settings.root).free,
            ),
        )
    )


def _by_state(store: Store) -> dict[str, int]:
    rows = store.all("select state, count(*) as count from jobs group by state")
    return {WORDS[row["state"]]: row["count"] for row in rows}


def _metric(name: str, about: str, values: Mapping[str, int] | int, label: str = "") -> str:
    full = f"latentsync_{name}"
    lines = [f"# HELP {full} {about}", f"# TYPE {full} gauge"]
    if isinstance(values, int):
        lines.append(f"{full} {values}")
    else:
        lines += [f'{full}{{{label}="{value}"}} {count}' for value, count in values.items()]
    return "\n".join(lines) + "\n"
