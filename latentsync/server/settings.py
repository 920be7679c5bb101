"""What the server may do, and how much of it: where it listens, who may use it, and the limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from latentsync.jobs.places import JobFiles
from latentsync.places import state_folder

HOST, PORT = "127.0.0.1", 7860
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """upload: bytes of a file. body: bytes of a request that is no upload. seconds: of a video or
    of speech. pixels: of a frame. queue, queue_of_user: unfinished jobs. disk: bytes that stay free
    on the disk. upload_seconds: without a byte, after which an upload is given up. uploads:
    of one user, that are not used by an unfinished job."""

    upload: int = 8 * GIB
    body: int = 1 << 20
    seconds: float = 4 * 3600.0
    pixels: int = 8192 * 4320
    queue: int = 200
    queue_of_user: int = 50
    disk: int = 2 * GIB
    upload_seconds: float = 30.0
    uploads: int = 200


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """root: the server's folder. token: what a request has to show; users: a file of names and
    tokens; without both everybody who reaches the server is the one user LOCAL. folders: of which
    files may be named by path. hosts: names under which the server is reached, beside its own
    address. keep_hours: after its end that a job's files are kept; 0: for ever. grace: seconds that
    the segment at hand may take when the server is to end. webhook_secret: signs webhooks. offline:
    no weights are fetched, no addresses read. device: see runtime.device."""

    host: str = HOST
    port: int = PORT
    root: Path = field(default_factory=lambda: state_folder() / "server")
    token: str | None = None
    users: Path | None = None
    folders: tuple[Path, ...] = ()
    hosts: tuple[str, ...] = ()
    keep_hours: float = 7 * 24.0
    grace: float = 30.0
    webhook_secret: str | None = None
    offline: bool = False
    device: str | None = None
    page: bool = True
    limits: Limits = field(default_factory=Limits)

    @property
    def jobs(self) -> JobFiles:
        """The server's own store of jobs; ``latentsync jobs --state_dir`` shows it, too."""
        return JobFiles(self.root / "jobs")

    @property
    def demands_token(self) -> bool:
        return self.token is not None or self.users is not None
