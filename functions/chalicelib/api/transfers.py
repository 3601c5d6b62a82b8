"""Transfers of contents through the bucket, because Lambda accepts at most 6 MB."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_hex

from chalicelib.people.port import Identity
from conducto_core.api.downloads import Download
from conducto_core.installation.names import UPLOAD_PREFIX


@dataclass(frozen=True, slots=True)
class Upload:
    """A request body in the bucket; iterating reads it.

    Attributes:
        chunks: Opens it.
    """

    key: str
    chunks: Callable[[], Iterator[bytes]]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks():
            yield chunk


@dataclass(frozen=True, slots=True)
class StagedDownload(Download):
    """A download that is already in the bucket."""

    key: str = ""


async def nothing() -> AsyncIterator[bytes]:
    """Yield no bytes: the content is in the bucket."""
    no_chunks: tuple[bytes, ...] = ()
    for chunk in no_chunks:
        yield chunk


def uploads(caller: Identity) -> str:
    """Return the key prefix of a caller's transfers."""
    return f"{UPLOAD_PREFIX}{caller.org}/{caller.user}/"


def new_key(caller: Identity) -> str:
    return uploads(caller) + token_hex(16)


def transfer_key(caller: Identity, *what: object) -> str:
    """Return the key of some content; equal arguments have equal keys, so it is copied once."""
    return uploads(caller) + sha256(repr(what).encode(errors="surrogatepass")).hexdigest()[:40]
