"""A client of ``latentsync serve``, for Python programs.

    from latentsync.client import Client

    with Client("http://127.0.0.1:7860", token="...") as client:
        job = client.create(video=Path("v.mp4"), audio=Path("a.wav"))
        job = client.wait(job.id, progress=lambda job: print(job.progress, job.stage))
        client.download(job.id, Path("out.mp4"))

It imports nothing else of this package, but httpx2: the file may be copied.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx2

RETRIES, RETRY_SECONDS = 5, 1.0  # of a connection that broke while waiting
_WORTH_RETRYING = (0, 502, 503, 504)  # no answer; a proxy's answer while the server is away
_ENDS = ("completed", "failed", "cancelled")
_CHUNK = 1 << 20

Given = Path | str
"""A file of this machine (Path); the id of an upload, an https URL, or a path on the server."""


class ServerError(Exception):
    """The server's answer. status: of HTTP; 0: there was no answer. code: a short word. message: a
    sentence. field: of the request, if it is about one. retry_after: seconds, if it says so."""

    def __init__(self, code: str, message: str, field: str | None = None, status: int = 0) -> None:
        super().__init__(code, message, field, status)
        self.code, self.message, self.field, self.status = code, message, field, status
        self.retry_after: float | None = None

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Job:
    """See /v1/jobs of docs/server.md. progress: 0 to 100. everything: the whole answer."""

    id: str
    name: str
    state: str
    progress: float
    stage: str | None
    position: int | None
    seconds_left: float | None
    error: Mapping[str, Any] | None
    verdict: Mapping[str, str] | None
    links: Mapping[str, str]
    everything: Mapping[str, Any] = field(repr=False)

    @property
    def ended(self) -> bool:
        return self.state in _ENDS

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Job:
        known: dict[str, Any] = {one.name: answer.get(one.name) for one in fields(cls)}
        return cls(**{**known, "everything": answer})


class Client:
    """url: of the server, with its prefix if it has one. timeout: seconds without a byte. Used
    from one thread at a time; close it, or use it in a ``with``."""

    def __init__(
        self, url: str = "http://127.0.0.1:7860", token: str | None = None, timeout: float = 60.0
    ) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def create(
        self,
        video: Given,
        audio: Given | None = None,
        *,
        reference: Given | None = None,
        speaker: str | None = None,
        name: str | None = None,
        priority: int = 0,
        evaluate: bool = True,
        webhook: str | None = None,
        client_id: str | None = None,
        key: str | None = None,
        **settings: Any,
    ) -> Job:
        """Makes a job. client_id: an id of yours; key: an Idempotency-Key: with either, the same
        job is made once. settings: the YAML's keys, nested or with __ for the dot:
        ``restore={"name": "GFPGAN"}`` or ``restore__name="GFPGAN"``. Raises ServerError."""
        body = self._body(settings, video=video, audio=audio, reference=reference)
        body |= {"speaker": speaker, "name": name, "priority": priority}
        body |= {"evaluate": evaluate, "webhook": webhook}
        headers = {} if key is None else {"Idempotency-Key": key}
        method, path = "POST", "/v1/jobs"
        if client_id is not None:
            method, path = "PUT", f"/v1/jobs/{quote(client_id, safe='')}"
        return Job.of(self._json(method, path, json=body, headers=headers))

    def job(self, job_id: str) -> Job:
        return Job.of(self._json("GET", _path(job_id)))

    def jobs(self, state: str | None = None) -> Iterator[Job]:
        """All of them, or those in that state, newest first."""
        asked: dict[str, Any] = {"limit": 100} | ({} if state is None else {"state": state})
        while True:
            answer = self._json("GET", f"/v1/jobs?{urlencode(asked)}")
            yield from map(Job.of, answer["data"])
            if not answer["has_more"]:
                return
            asked["after"] = answer["last_id"]

    def events(self, job_id: str) -> Iterator[Job]:
        """The job now and after each change; ends early if the connection breaks."""
        return (job for job in self._events(job_id) if job is not None)

    def wait(
        self,
        job_id: str,
        progress: Callable[[Job], object] | None = None,
        timeout: float | None = None,
    ) -> Job:
        """The job once it has ended, however. Raises TimeoutError after ``timeout`` seconds, and
        ServerError when the server stays away."""
        until = None if timeout is None else time.monotonic() + timeout
        failures = 0
        while True:
            try:
                for job in self._events(job_id):
                    failures = 0
                    if job is not None and progress is not None:
                        progress(job)
                    if job is not None and job.ended:
                        return job
                    _check_time(job_id, until)
            except ServerError as error:
                if error.status not in _WORTH_RETRYING or failures == RETRIES:
                    raise
            failures += 1
            _check_time(job_id, until)
            time.sleep(RETRY_SECONDS * min(failures, RETRIES))

    def _events(self, job_id: str) -> Iterator[Job | None]:
        """None: nothing has changed for a while."""
        with self._stream("GET", f"{_path(job_id)}/events") as response:
            for line in _lines(response):
                if line.startswith(b"data:"):
                    yield Job.of(json.loads(line[5:]))
                elif line.startswith(b":"):
                    yield None

    def cancel(self, job_id: str) -> Job:
        return Job.of(self._json("POST", f"{_path(job_id)}/cancel"))

    def retry(self, job_id: str) -> Job:
        return Job.of(self._json("POST", f"{_path(job_id)}/retry"))

    def delete(self, job_id: str) -> None:
        self._json("DELETE", _path(job_id))

    def download(self, job_id: str, target: Path, what: str = "video") -> Path:
        """what: video, source, report, evaluation, page, settings. The file appears under its name
        only when it is complete."""
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with self._stream("GET", f"{_path(job_id)}/{what}") as response, part.open("wb") as to:
                for chunk in response.iter_bytes(_CHUNK):
                    to.write(chunk)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target

    def upload(self, file: Path) -> str:
        """The id of the upload, which jobs and previews can use."""
        path, size = f"/v1/uploads/{quote(file.name, safe='')}", str(file.stat().st_size)
        given = {"content": _read(file), "headers": {"Content-Length": size}}
        return self._json("PUT", path, **given)["id"]

    def people(self, video: Given, timeout: float = 600.0) -> list[dict[str, Any]]:
        """Who is seen: speaker, portrait, seconds, speaks ..."""
        return self._task("speakers", {"video": self._id(video)}, timeout)

    def preview(
        self,
        video: Given,
        audio: Given | None = None,
        *,
        seconds: float = 0.0,
        restorers: tuple[str, ...] = (),
        speaker: str | None = None,
        timeout: float = 600.0,
        **settings: Any,
    ) -> dict[str, Any]:
        """One frame, before and after: pictures as paths of the server, which ``picture`` loads."""
        body = self._body(settings, video=video, audio=audio)
        body |= {"speaker": speaker, "seconds": seconds, "restorers": list(restorers)}
        return self._task("previews", body, timeout)

    def picture(self, path: str) -> bytes:
        """The PNG or JPEG that a preview or a person names."""
        with self._stream("GET", path) as response:
            return response.read()

    def models(self) -> list[dict[str, Any]]:
        return self._json("GET", "/v1/models")["data"]

    def _body(self, settings: Mapping[str, Any], **files: Given | None) -> dict[str, Any]:
        """With files of this machine uploaded."""
        ids = {name: None if given is None else self._id(given) for name, given in files.items()}
        dotted = {key.replace("__", "."): value for key, value in settings.items()}
        return {**ids, "settings": dotted}

    def _id(self, given: Given) -> str:
        return self.upload(given) if isinstance(given, Path) else given

    def _task(self, kind: str, body: Mapping[str, Any], timeout: float) -> Any:
        """The result of work that the server does at once."""
        until = time.monotonic() + timeout
        task = self._json("POST", f"/v1/{kind}?wait=20", json=body)
        while task["state"] not in _ENDS:
            _check_time(task["id"], until)
            task = self._json("GET", f"/v1/tasks/{task['id']}?wait=20")
        if task["error"] is not None:
            raise ServerError(**task["error"])
        return task["result"]

    def _json(self, method: str, path: str, **given: Any) -> Any:
        with self._stream(method, path, **given) as response:
            body = response.read()
        return json.loads(body) if body else None

    @contextmanager
    def _stream(self, method: str, path: str, **given: Any) -> Iterator[httpx2.Response]:
        """An answer that is none of success, or none at all, is a ServerError."""
        try:
            with self._http.stream(method, path, **given) as response:
                if not response.is_success:
                    raise _error(response)
                yield response
        except httpx2.TransportError as error:
            message = f"no answer from {self._http.base_url}: {error or type(error).__name__}"
            raise ServerError("no_answer", message) from error


def _error(response: httpx2.Response) -> ServerError:
    body = response.read()
    try:
        known = json.loads(body)
        code, message, about = known["code"], known["message"], known.get("field")
    except (ValueError, KeyError, TypeError, AttributeError):  # of a proxy, for instance
        code, message, about = "http_error", f"HTTP {response.status_code}", None
    error = ServerError(code, message, about, response.status_code)
    after = response.headers.get("retry-after", "")
    error.retry_after = float(after) if after.isdecimal() else None
    return error


def _path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def _lines(response: httpx2.Response) -> Iterator[bytes]:
    """Ended by \\n only: text may contain what else counts as the end of a line."""
    rest = b""
    for chunk in response.iter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _check_time(what: str, until: float | None) -> None:
    if until is not None and time.monotonic() > until:
        raise TimeoutError(f"{what} has not ended in time; it goes on")
