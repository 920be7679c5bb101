"""The errors that a user can act on. Scripts print them as one line and exit with code 2.

Raw fields go to ``super().__init__`` and the sentence is made in ``__str__``: an exception that
passes a ready sentence instead cannot be unpickled, which breaks multi-process callers.
Every message says what is wrong, the value, and what to do.
"""

from __future__ import annotations


class LatentSyncError(Exception):
    """Base of all errors caused by the input or the set-up, not by a bug."""


class _WhatValueRemedy(LatentSyncError):
    def __init__(self, what: str, value: object, remedy: str) -> None:
        super().__init__(what, value, remedy)
        self.what, self.value, self.remedy = what, value, remedy

    def __str__(self) -> str:
        return f"{self.what}: {self.value}; {self.remedy}"


class ConfigError(_WhatValueRemedy):
    """A setting that does not exist, has the wrong type, or cannot be combined with another."""


class CheckpointError(_WhatValueRemedy):
    """A weights file that is missing, damaged, or not the one that the configuration needs."""


class MediaError(_WhatValueRemedy):
    """A video or audio file that cannot be read, or an output that cannot be written."""


class FaceNotFoundError(_WhatValueRemedy):
    """No usable face where at least one is needed."""


class UnknownPluginError(LatentSyncError):
    """A name that is in no plug-in table and is no ``package.module:attribute``."""

    def __init__(self, kind: str, name: str, known: tuple[str, ...], cause: str = "") -> None:
        super().__init__(kind, name, known, cause)
        self.kind, self.name, self.known, self.cause = kind, name, known, cause

    def __str__(self) -> str:
        cause = f" ({self.cause})" if self.cause else ""
        known = f"one of {', '.join(self.known)}, or " if self.known else ""
        remedy = f"use {known}package.module:attribute"
        return f"unknown {self.kind}: {self.name}{cause}; {remedy}"


class Cancelled(LatentSyncError):
    """The work was cancelled, or its session closed; nothing was written."""

    def __init__(self, what: str = "the work", how: str = "was cancelled") -> None:
        super().__init__(what, how)
        self.what, self.how = what, how

    def __str__(self) -> str:
        return f"{self.what} {self.how}; nothing was written"
