"""The files that a request brings or names: uploads, which go again where it is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from latentsync.server.errors import ApiError
from latentsync.server.files.folders import is_id
from latentsync.server.http.multipart import Part
from latentsync.server.service import Service


class Taken:
    """The uploads of one request. made: ids of those that only this request has made."""

    def __init__(self, service: Service, user: str) -> None:
        self._service, self._user = service, user
        self.made: list[str] = []

    async def receive(self, part: Part, filename: str) -> str:
        """The id of a file in a form."""
        view = await self._service.receive(self._user, filename, part.chunks())
        self.made.append(view.id)
        return view.id

    async def named(self, field: str, place: str) -> str:
        """The id of a file that a body names: see Place. The errors name the body's field."""
        if is_id(place):
            return place
        try:
            view = await self._service.use(self._user, place)
        except ApiError as error:
            error.field = field
            raise
        if "://" in place:  # a path is the same upload whenever it is named
            self.made.append(view.id)
        return view.id

    def discard(self) -> None:
        """Deletes what was made, unless a job has it."""
        for upload in self.made:
            with suppress(ApiError):
                self._service.delete_upload(self._user, upload)


@asynccontextmanager
async def taking(service: Service, user: str) -> AsyncIterator[Taken]:
    """A block that raises leaves no upload behind; nor does a sender who goes away."""
    taken = Taken(service, user)
    try:
        yield taken
    except BaseException:
        taken.discard()
        raise
