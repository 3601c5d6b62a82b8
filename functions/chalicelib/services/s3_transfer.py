"""Content that comes or goes by way of the bucket, because a Lambda takes 6 MB."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_hex

from chalicelib.ports import Identity
from conducto_core.model.deployment import UPLOAD_PREFIX
from conducto_core.ports.downloads import Download


@dataclass(frozen=True, slots=True)
class Upload:
    """The body of a request that is at a key of the bucket; iterating reads it from there.

    Attributes:
        pieces: Opens it.
    """

    key: str
    pieces: Callable[[], Iterator[bytes]]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces():
            yield piece


@dataclass(frozen=True, slots=True)
class StagedDownload(Download):
    """A download that is at a key of the bucket already."""

    key: str = ""


async def nothing() -> AsyncIterator[bytes]:
    """Yield no bytes: the content is elsewhere."""
    no_pieces: tuple[bytes, ...] = ()
    for piece in no_pieces:
        yield piece


def uploads(caller: Identity) -> str:
    """Return how the keys begin under which a caller may hand things over."""
    return f"{UPLOAD_PREFIX}{caller.org}/{caller.user}/"


def new_key(caller: Identity) -> str:
    """Return a key for something that a caller hands over, or gets, once."""
    return uploads(caller) + token_hex(16)


def transfer_key(caller: Identity, *what: object) -> str:
    """Return the key of some content; the same one for the same ``what``, so it is copied once."""
    return uploads(caller) + sha256(repr(what).encode(errors="surrogatepass")).hexdigest()[:40]
