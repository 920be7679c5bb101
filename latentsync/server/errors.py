"""What the server answers when it cannot do what is asked: one sentence, and a status."""

from __future__ import annotations

from latentsync.errors import LatentSyncError


class ApiError(LatentSyncError):
    """status: of HTTP. code: a short word that programs can compare. message: the sentence, worded
    as the command words it. field: of the request; None: of none. retry_after: seconds."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        field: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(status, code, message, field, retry_after)
        self.status, self.code, self.message = status, code, message
        self.field, self.retry_after = field, retry_after

    def __str__(self) -> str:
        return self.message


def not_found(what: str, value: object) -> ApiError:
    """The same whether it does not exist, or is another user's."""
    return ApiError(404, "not_found", f"no such {what}: {value}; see the list")
