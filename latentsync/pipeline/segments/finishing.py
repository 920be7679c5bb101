"""How an output is finished, so that a run that was stopped meanwhile can tell how far it came.

An output gets its name, then its report is written, then the folder of segments goes. A run that is
killed in between leaves an output that is its own: the next one may replace it, and nothing else.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from latentsync.errors import MediaError
from latentsync.media.segment_file import flush
from latentsync.pipeline.compact_json import compact_json
from latentsync.pipeline.segments import lock
from latentsync.pipeline.segments.folder import WRITTEN, SegmentFolder, folder_of
from latentsync.pipeline.segments.identity import file_hash
from latentsync.places import part_file
from latentsync.settings.schema import Config

_PART = r"\.(\d+)\.\d+\.part.*"  # see places.part_file, media.target.part_path


class Finishing:
    """The record, in a folder of segments, of the files that have got their names.

    folder: it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / WRITTEN

    def note(self, file: Path) -> None:
        """A complete file gets its name next."""
        self._write({**self._read(), file_hash(file): True})

    def complete(self) -> None:
        """All files have their names, the report too."""
        self._write({**self._read(), "complete": True})

    def is_ours(self, target: Path) -> bool:
        """Whether that file is there, and is what was noted."""
        try:
            return self._path.exists() and file_hash(target) in self._read()
        except OSError:
            return False

    def is_complete(self, target: Path) -> bool:
        """Whether nothing is left to do."""
        return "complete" in self._read() and self.is_ours(target)

    def _read(self) -> dict[str, Any]:
        try:
            noted = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}

    def _write(self, noted: dict[str, Any]) -> None:
        with part_file(self._path) as part:
            part.write_text(compact_json(noted), "utf-8")
            flush(part)


def remove_kept(target: Path) -> bool:
    """Removes the folder of segments of an output that is complete. Returns False, and leaves it,
    while a run works on it. Raises OSError."""
    folder = folder_of(target)
    segments = SegmentFolder(folder, {})
    if not (folder.exists() or lock.is_left(folder)):
        return True
    try:
        with segments.held():
            is_empty = folder.is_dir() and not any(folder.iterdir())
            if is_empty or Finishing(folder).is_complete(target):
                segments.remove()
    except MediaError:
        return False
    return True


def may_finish(config: Config) -> Config:
    """With leave to replace the output, if an earlier run was stopped after it had got its name."""
    target = Path(str(config.output.path))
    if config.output.overwrite or not Finishing(folder_of(target)).is_ours(target):
        return config
    return replace(config, output=replace(config.output, overwrite=True))


def sweep(files: Iterable[Path]) -> None:
    """Deletes the half-written files that killed processes have left beside these."""
    for file in files:
        pattern = re.compile(rf"\.{re.escape(file.name)}{_PART}")
        for path in file.parent.glob(".*") if file.parent.is_dir() else ():
            match = pattern.fullmatch(path.name)
            if match and is_gone(int(match[1])):
                path.unlink(missing_ok=True)


def is_gone(process: int) -> bool:
    """Whether there is no process of that number on this machine; False where it is not known."""
    if process == os.getpid() or sys.platform == "win32":  # os.kill would end it there
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
