"""Files of the Hugging Face hub, or a mirror of it, in its shared cache.

The hub's own library provides metadata, cache paths and tokens, so that HF_HOME, HF_ENDPOINT,
HF_TOKEN and HF_HUB_OFFLINE have their usual meaning. The bytes are downloaded by `download` into
the cache: the library (2.4) cannot resume an interrupted download, and 5 GB over a slow line would
never arrive.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from latentsync.errors import CheckpointError
from latentsync.weights import record
from latentsync.weights.download import RETRY_POLICY, Progress, RetryPolicy, SourceError, download
from latentsync.weights.request import TRANSIENT

OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
SHA256 = re.compile(r"[0-9a-f]{64}")  # the cache's name of a large file
BLOB_NAME = re.compile(r"\w[\w.-]*")  # chosen by the server: no path separators
ATTEMPTS = 3  # requests for a file's metadata

BY_HAND = "or put the file in its place by hand"
CONNECT = "check the connection, or set HF_ENDPOINT to a mirror"
NO_HUB = "set HF_ENDPOINT to the hub or to a mirror of it"
TOKEN = "set HF_TOKEN to a token that may read it"
UPDATE = "another version was published: update this program"
FAILURES = {  # an error of the library, or a base of it -> what it means, what to do
    "OfflineModeIsEnabled": ("the hub's offline mode is on", "unset HF_HUB_OFFLINE"),
    "GatedRepoError": ("its licence has to be accepted", "do so on its page, and set HF_TOKEN"),
    "RepositoryNotFoundError": ("no such repository, or a private one", TOKEN),
    "LocalEntryNotFoundError": ("no response", CONNECT),
    "EntryNotFoundError": ("the repository has no such file", CONNECT),
    "RevisionNotFoundError": ("the repository has no main branch", CONNECT),
    "FileMetadataError": ("the response is not a hub's", NO_HUB),
    "UnsupportedProtocol": ("this is not an address", NO_HUB),
}


def cached(
    repo: str, filename: str, *, size: int | None = None, sha256: str | None = None
) -> Path | None:
    """The file in the hub's cache, or None. It uses neither the network nor the content.

    size, sha256: expected; a version with another size, or another hash in its name in the cache,
    is ignored.
    """
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, filename)
    if not isinstance(found, str):
        return None
    path = Path(found)
    other_size = size is not None and path.stat().st_size != size
    other_hash = bool(sha256) and (_named_hash(path) or sha256) != sha256
    return None if other_size or other_hash else path


def fetch(
    repo: str,
    filename: str,
    *,
    size: int | None,
    sha256: str | None,
    progress: Progress,
    retry: RetryPolicy = RETRY_POLICY,
) -> Path:
    """The file in the hub's cache, downloaded if it is missing or damaged.

    size, sha256: expected, as far as known; without sha256 the hub's own metadata counts. A file
    with a wrong hash is renamed. Raises SourceError, or CheckpointError where another source would
    not help.
    """
    found = cached(repo, filename, size=size, sha256=sha256)
    if found is not None and _is_intact(found, sha256):
        return found
    wanted = _Wanted(repo, filename, size, sha256 or None)
    with _explained(wanted):
        blob = _fetch_blob(wanted, progress, retry)
        return _enter(wanted, blob)


def is_offline() -> bool:
    """Whether the hub's library is in offline mode."""
    if not any(os.environ.get(name) for name in OFFLINE_VARIABLES):
        return False
    from huggingface_hub import is_offline_mode

    return is_offline_mode()


@dataclass(frozen=True, slots=True)
class _Wanted:
    repo: str
    filename: str
    size: int | None
    sha256: str | None

    @property
    def title(self) -> str:
        return f"{self.repo}/{self.filename}"

    def refused(self, why: str, remedy: str) -> SourceError:
        from huggingface_hub import constants

        where = constants.ENDPOINT or "an empty HF_ENDPOINT"
        remedy = f"{remedy}, {BY_HAND}"
        return SourceError(f"cannot download {self.title}", f"{where}: {why}", remedy)


def _named_hash(path: Path) -> str | None:
    """The sha256 in the file's name in the cache, if it has such a name."""
    name = path.readlink().name if path.is_symlink() else ""
    return name if SHA256.fullmatch(name) else None


def _is_intact(path: Path, sha256: str | None) -> bool:
    """Whether the hash is right, as far as known. A damaged file is renamed."""
    expected = sha256 or _named_hash(path)
    if not expected:
        return True
    found, real = record.sha256(path), path.resolve()
    if found == expected:
        return True
    real.replace(real.with_name(f"{real.name}.wrong-{found[:8]}"))
    path.unlink(missing_ok=True)
    return False


def _fetch_blob(wanted: _Wanted, progress: Progress, retry: RetryPolicy) -> Path:
    """Downloads the bytes to their place in the cache."""
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils import get_token_to_send

    url = hf_hub_url(wanted.repo, wanted.filename)
    etag, size = _query(url, retry)
    _compare(wanted, etag, size)
    published = etag if SHA256.fullmatch(etag) else None
    folder = repo_folder_name(repo_id=wanted.repo, repo_type="model")
    token = get_token_to_send(None)
    try:
        return download(
            url,
            Path(constants.HF_HUB_CACHE) / folder / "blobs" / etag,
            size=size if wanted.size is None else wanted.size,
            sha256=wanted.sha256 or published,
            progress=progress,
            retry=retry,
            title=wanted.title,
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )
    except SourceError as error:  # its remedy names a path, which is no use in the cache
        raise SourceError(error.what, error.value, f"{CONNECT}, {BY_HAND}") from None


def _query(url: str, retry: RetryPolicy) -> tuple[str, int | None]:
    """The file's name in the cache, and its size, from the hub's metadata."""
    from httpx2 import TimeoutException
    from huggingface_hub import get_hf_file_metadata
    from huggingface_hub.errors import FileMetadataError, HfHubHTTPError

    for failures in range(1, ATTEMPTS + 1):
        try:
            file = get_hf_file_metadata(url)
            break
        except (HfHubHTTPError, TimeoutException) as error:
            response = getattr(error, "response", None)
            transient = response is None or response.status_code in TRANSIENT
            if not transient or failures == ATTEMPTS:
                raise
            time.sleep(retry.wait(failures, None))
    if file.commit_hash is None or not BLOB_NAME.fullmatch(file.etag or ""):
        raise FileMetadataError(url)
    return str(file.etag), file.size


def _compare(wanted: _Wanted, etag: str, size: int | None) -> None:
    """Checks the metadata before the download. Raises SourceError for another version."""
    if None not in (wanted.size, size) and size != wanted.size:
        raise wanted.refused(f"the hub's file has {size:,} bytes, not {wanted.size:,}", UPDATE)
    if wanted.sha256 and SHA256.fullmatch(etag) and etag != wanted.sha256:
        raise wanted.refused(f"the hub's sha256 is {etag}, not {wanted.sha256}", UPDATE)


def _enter(wanted: _Wanted, blob: Path) -> Path:
    """Has the library create the cache entry, which points to the downloaded bytes."""
    from huggingface_hub import hf_hub_download

    path = Path(hf_hub_download(wanted.repo, wanted.filename))
    if not path.is_symlink():  # a system without symbolic links: the entry is a copy
        blob.unlink(missing_ok=True)
    elif path.resolve() != blob.resolve():
        raise wanted.refused("it changed during the download", "start again")
    return path


@contextlib.contextmanager
def _explained(wanted: _Wanted) -> Iterator[None]:
    """Converts errors of the library to SourceError, or CheckpointError if it cannot write."""
    from httpx2 import HTTPError, InvalidURL

    try:
        yield
    except (OSError, HTTPError, InvalidURL) as error:
        for kind in type(error).__mro__:
            if kind.__name__ in FAILURES:
                raise wanted.refused(*FAILURES[kind.__name__]) from error
        if isinstance(error, OSError) and error.filename:
            value = f"{error.filename}: {error.strerror}"
            remedy = "point HF_HOME to a folder that can be written to"
            raise CheckpointError(f"cannot write {wanted.title}", value, remedy) from error
        status = getattr(getattr(error, "response", None), "status_code", None)
        why = f"HTTP {status}" if status else (str(error).strip() or type(error).__name__)
        remedy = TOKEN if status in (401, 403) else CONNECT
        raise wanted.refused(why.splitlines()[0], remedy) from error
