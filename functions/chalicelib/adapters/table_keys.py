"""Which kinds of items the table has, and their keys.

==============================  ====================  ========================================
partition                       sort                  what it is
==============================  ====================  ========================================
``P#<pipeline>``                ``R``                 the record, and where its definition is
``P#<pipeline>``                ``E#<number>``        an entry of the journal
``P#<pipeline>``                ``C#<first seq>``     the transitions of an entry
``P#<pipeline>``                ``A#<path>#<n>``      an attempt
``P#<pipeline>``                ``X#<number>``        attempts of an entry, still to be written
``P#<pipeline>``                ``M#<number>``        what an entry has somebody told
``P#<pipeline>``                ``S``                 the newest snapshot
``P#<pipeline>``                ``W#<worker>``        when a worker was heard of last
``F#<pipeline or user>``        ``F``                 access point of its data
``L#<stream of an attempt>``    ``<offset>``          a chunk of output
``L#<pipeline>``                ``<stream>``          a stream that has chunks
``L#<pipeline>``                ``reader``            until when somebody reads output as it comes
``O#<org>``                     ``O``                 plan, workers now, and reserved ones
``O#<org>``                     ``S#<pipeline>``      a pipeline's share of them
``U#<org>#<month>``             ``T``, ``K#<key>``    what was used, and what is counted in it
``U#<org>#<month>``             ``P#<pipeline>``      what a pipeline took
``T#<SHA-256>``                 ``T``                 a token
``D#<pipeline>``                ``<shell>``           a debug shell on a worker of its own
``C#<pipeline>``                ``<connection>``      who follows a pipeline
``N#<connection>``              ``N``                 whose connection it is, what it follows
``N``                           ``<connection>``      by whose token each was opened
``I#<org and user>#<key>``      ``I``                 answer of a request that came with a key
==============================  ====================  ========================================
"""

from hashlib import sha256
from typing import NamedTuple

from chalicelib.domain.schema_migrations import Kind

_DIGITS = 12
#: Above every character of a key; DynamoDB sorts by the bytes of UTF-8.
LAST = "\U0010ffff"
#: Below every character of a path, so that keys of attempts sort as their paths do.
_END = "\x01"
_MAX_PATH = 800
#: Kinds of items by how their partition begins, and those of a pipeline by their sort key.
_KINDS: dict[str, Kind] = {
    "F": "files",
    "L": "chunk",
    "T": "token",
    "D": "shell",
    "C": "follower",
    "N": "connection",
    "I": "answer",
}
_OF_A_MONTH: dict[str, Kind] = {"T": "usage", "K": "metered", "P": "spent"}
_OF_A_PIPELINE: dict[str, Kind] = {
    "R": "record",
    "E": "entry",
    "C": "changes",
    "A": "attempt",
    "X": "spilled",
    "M": "outgoing",
    "S": "snapshot",
    "W": "sign of life",
}


class Key(NamedTuple):
    """Of an item."""

    partition: str
    sort: str


def kind_of(key: Key) -> Kind:
    """Return which kind of item has a key."""
    match key.partition[0]:
        case "P":
            return _OF_A_PIPELINE[key.sort[0]]
        case "U":
            return _OF_A_MONTH[key.sort[0]]
        case "O":
            return "share" if key.sort.startswith("S#") else "org"
        case letter:
            return _KINDS[letter]


def pipeline(pipeline_id: str) -> str:
    """Return the partition of a pipeline."""
    return f"P#{pipeline_id}"


def record(pipeline_id: str) -> Key:
    """Return the key of a pipeline's record."""
    return Key(pipeline(pipeline_id), "R")


def entry(pipeline_id: str, number: int) -> Key:
    """Return the key of an entry."""
    return Key(pipeline(pipeline_id), f"E#{number:0{_DIGITS}}")


def changes(pipeline_id: str, seq: int) -> Key:
    """Return the key of the transitions of which the first has this number."""
    return Key(pipeline(pipeline_id), f"C#{seq:0{_DIGITS}}")


def attempts_of(path: str) -> str:
    """Return the beginning of the sort keys of a node's attempts.

    A sort key may have 1,024 bytes; a longer path is cut, and told from others by its hash.
    """
    raw = path.encode()
    if len(raw) > _MAX_PATH:
        path = raw[:_MAX_PATH].decode(errors="ignore") + _END + sha256(raw).hexdigest()[:32]
    return f"A#{path}{_END}"


def attempt(pipeline_id: str, path: str, number: int) -> Key:
    """Return the key of an attempt."""
    return Key(pipeline(pipeline_id), f"{attempts_of(path)}{number:0{_DIGITS}}")


def spilled(pipeline_id: str, number: int) -> Key:
    """Return the key of attempts that wait to be written one by one."""
    return Key(pipeline(pipeline_id), f"X#{number:0{_DIGITS}}")


def outgoing(pipeline_id: str, number: int) -> Key:
    """Return the key of the notifications of an entry."""
    return Key(pipeline(pipeline_id), f"M#{number:0{_DIGITS}}")


def snapshot(pipeline_id: str) -> Key:
    """Return the key of a snapshot."""
    return Key(pipeline(pipeline_id), "S")


def worker(pipeline_id: str, worker_id: str) -> Key:
    """Return the key of a worker's sign of life."""
    return Key(pipeline(pipeline_id), f"W#{worker_id}")


def files(name: str) -> Key:
    """Return the key of an access point."""
    return Key(f"F#{name}", "F")


def org(name: str) -> Key:
    """Return the key of an organisation."""
    return Key(f"O#{name}", "O")


def share(org_name: str, pipeline_id: str) -> Key:
    """Return the key of a pipeline's share of an organisation's workers."""
    return Key(org(org_name).partition, f"S#{pipeline_id}")


def usage(org_name: str, month: str) -> Key:
    """Return the key of what an organisation used in a month."""
    return Key(f"U#{org_name}#{month}", "T")


def metered(org_name: str, month: str, key: str) -> Key:
    """Return the key of the note that something is counted already."""
    return Key(f"U#{org_name}#{month}", f"K#{sha256(key.encode()).hexdigest()}")


def spent(org_name: str, month: str, pipeline_id: str) -> Key:
    """Return the key of what a pipeline of an organisation took in a month."""
    return Key(f"U#{org_name}#{month}", f"P#{pipeline_id}")


def token(digest: str) -> Key:
    """Return the key of a token."""
    return Key(f"T#{digest}", "T")


def shell(pipeline_id: str, shell_id: str) -> Key:
    """Return the key of a debug shell."""
    return Key(f"D#{pipeline_id}", shell_id)


def follower(pipeline_id: str, connection: str) -> Key:
    """Return the key of a connection among those that follow a pipeline."""
    return Key(f"C#{pipeline_id}", connection)


def connection(name: str) -> Key:
    """Return the key of a connection."""
    return Key(f"N#{name}", "N")


def open_connection(name: str) -> Key:
    """Return the key of a connection among all that are open."""
    return Key("N", name)


def answer(scope: str, key: str) -> Key:
    """Return the key of an answer that is remembered."""
    return Key(f"I#{sha256(scope.encode()).hexdigest()[:32]}#{key}", "I")
