"""The server's folders: for each user uploads, results and what quick work makes.

    ROOT/users/USER/uploads/ID/file.mp4      and what is made of it: proxy.mp4
                    jobs/ID/result.mp4       and beside it report and evaluation
                    tasks/ID/NAME            pictures of previews and of people

USER is a name that is safe in a path; IDs are made here. No name that a user gives is in a path.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import uuid
from dataclasses import dataclass
from html import escape
from pathlib import Path

LONGEST_NAME = 200
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")  # shorter than a name that is made here
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """root: of the server."""

    root: Path

    def upload(self, user: str, upload_id: str) -> Path:
        return self._folder(user, "uploads", upload_id)

    def job(self, user: str, job_id: str) -> Path:
        return self._folder(user, "jobs", job_id)

    def task(self, user: str, task_id: str) -> Path:
        return self._folder(user, "tasks", task_id)

    def all(self, kind: str) -> list[Path]:
        """The folders of all users. kind: uploads, jobs or tasks."""
        found = sorted(self.root.glob(f"users/*/{kind}/*"))
        return [path for path in found if is_id(path.name)]

    def public(self, text: str) -> str:
        """Without the server's own folders: what users read names files, not places. text: plain,
        JSON or HTML."""
        root = str(self.root)
        for written in {root, json.dumps(root)[1:-1], escape(root)}:
            text = re.sub(rf"{re.escape(written)}[^\s\"'<>&]*[/\\]", "", text)
        return text

    def _folder(self, user: str, kind: str, name: str) -> Path:
        if not is_id(name):
            raise ValueError(name)  # ids from outside are looked up before
        return self.root / "users" / folder_name(user) / kind / name


def new_id() -> str:
    return uuid.uuid4().hex


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def folder_name(user: str) -> str:
    """The name itself where it is plain, and no other user's on a disk that ignores case."""
    if _PLAIN.fullmatch(user):
        return user
    digest = hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
    return f"u-{digest[:32]}"


def shown_name(name: str, default: str) -> str:
    """A name as it may be shown: its last part, without characters that cannot be seen."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    seen = "".join(letter if letter.isprintable() else " " for letter in last)
    return " ".join(seen.split())[:LONGEST_NAME] or default


def remove(folder: Path) -> None:
    """With all that is in it; links in it are removed, not followed."""
    shutil.rmtree(folder, ignore_errors=True)
