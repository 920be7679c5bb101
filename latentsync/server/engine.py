"""What the server needs of the engine's process: see work.process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol


class Engine(Protocol):
    """See work.process.EngineProcess."""

    def submit(
        self,
        kind: str,
        arguments: dict[str, Any],
        folder: Path,
        progress: Callable[[float, str], None],
    ) -> Future[dict[str, Any]]: ...

    def cancel(self, future: Future[dict[str, Any]]) -> None: ...

    def wake(self) -> None: ...

    def drain(self, grace: float) -> None: ...
