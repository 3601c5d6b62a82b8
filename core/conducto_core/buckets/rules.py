"""Buckets of S3 that commands in the cloud may mount: which ones, and how. Pure.

An administrator registers them: ``-c buckets=ORG=s3://acme/raw,ORG=s3://acme/out:rw``. One that is
registered for an organisation is a file system of S3 Files; commands of the organisation mount it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import combinations
from typing import Any, NamedTuple

from conducto.errors import raise_found
from conducto.wire.buckets import MODES, Bucket, merged, to_buckets
from conducto_core.errors import invalid
from conducto_core.tree.model import NodeSpec

_FORM = "ORG=s3://BUCKET/PREFIX:ro or …:rw, such as main=s3://acme/raw:ro"
_ORG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
#: Characters that AWS gives a meaning in the resources and conditions of a policy.
_PATTERN = re.compile(r"[*?$]")


class RegisteredBucket(NamedTuple):
    """A bucket, or a prefix of one, that commands of an organisation may mount.

    Attributes:
        url: ``s3://BUCKET`` or ``s3://BUCKET/PREFIX``.
        mode: ``ro`` or ``rw``.
    """

    org: str
    url: str
    mode: str

    @property
    def bucket(self) -> Bucket:
        """The bucket and its prefix."""
        return Bucket(self.url, mode=self.mode)


def read_buckets(text: str) -> tuple[RegisteredBucket, ...]:
    """Return the buckets that ``ORG=s3://BUCKET/PREFIX:MODE,…`` registers; without a mode, ``ro``.

    Raises:
        ValueError: The text has another form, or two prefixes overlap.

    >>> read_buckets("main=s3://acme/raw,main=s3://acme/out:rw")[1].mode
    'rw'
    """
    found = tuple(_read(part.strip()) for part in text.split(",") if part.strip())
    for one, other in combinations(found, 2):
        if one[:2] == other[:2]:
            raise ValueError(f"{one.url} is registered twice for {one.org}; name it once")
        if _is_inside(one.url, other.url) or _is_inside(other.url, one.url):
            raise ValueError(
                f"{one.url} and {other.url} overlap: changes by one would reach the other a minute "
                "later; register one of them"
            )
    return found


def _read(text: str) -> RegisteredBucket:
    org, equals, rest = text.partition("=")
    head, colon, mode = rest.rpartition(":")
    url, mode = (head, mode) if colon and mode in MODES else (rest, MODES[0])
    if not equals or not _ORG.fullmatch(org):
        raise ValueError(f"{text!r}: expected {_FORM}")
    bucket = Bucket(url, mode=mode)
    if _PATTERN.search(bucket.prefix):
        raise ValueError(f"{url}: a policy of AWS cannot name a prefix with '*', '?' or '$'")
    return RegisteredBucket(org, bucket.url, mode)


def _is_inside(url: str, other: str) -> bool:
    return url.startswith(f"{other}/")


def urls_of(known: Iterable[RegisteredBucket]) -> tuple[str, ...]:
    """Return the addresses of buckets, each of which has one file system, in their order."""
    return tuple(dict.fromkeys(each.url for each in known))


def role_digest(org: str) -> str:
    """Return the part of the name of a role that identifies an organisation."""
    return sha256(org.encode()).hexdigest()[:8]


def buckets_to_wire(buckets: Iterable[Bucket]) -> dict[str, Any]:
    """Return the wire form of the buckets of an Exec, ``{path: bucket}``."""
    return {each.path: each.to_wire() for each in buckets}


def buckets_from_wire(form: Mapping[str, Any]) -> tuple[Bucket, ...]:
    """Return buckets from their wire form; raises `ValueError`."""
    return merged((), to_buckets(form))


# ---- checks --------------------------------------------------------------------------------------


class OrgBuckets(NamedTuple):
    """The buckets that a pipeline may mount.

    Attributes:
        org: Its organisation.
        known: Those of all organisations.
        trusted: Whether it runs code of the organisation only. A pull request from a fork gets
            none.
    """

    org: str
    known: Sequence[RegisteredBucket] = ()
    trusted: bool = True

    def check(self, node: NodeSpec) -> None:
        """Reject an Exec with buckets that it may not mount.

        Raises:
            DefinitionError: Names the buckets and the remedies.
        """
        found = (self.problem(bucket) for bucket in node.placement.buckets)
        raise_found([invalid(node.path, text) for text in found if text is not None])

    def problem(self, bucket: Bucket) -> str | None:
        """Return why a bucket may not be mounted, or None."""
        url, own = bucket.url, [each for each in self.known if each.org == self.org]
        if not self.trusted:
            return (
                f"{url}: a pull request from a fork gets no buckets; remove them with "
                f"buckets={{{bucket.path!r}: None}}, or run the branch in the repository"
            )
        for each in own:
            if each.url == url:
                return _wider(bucket, each)
        around = next((each for each in own if _is_inside(url, each.url)), None)
        if around is not None:
            rest = url[len(around.url) + 1 :]
            return (
                f"{url} is a part of {around.url}, and only the whole of that can be mounted in "
                f"the cloud; mount co.Bucket({around.url!r}) and use the directory {rest} in it"
            )
        there = ", ".join(f"{each.url} ({each.mode})" for each in own) or "none"
        return (
            f"{url} is not registered for {self.org}, which has: {there}. An administrator adds it "
            f"to the setting: conducto deploy -c buckets={self.org}={url}:{bucket.mode}"
        )


def _wider(bucket: Bucket, registered: RegisteredBucket) -> str | None:
    if MODES.index(bucket.mode) <= MODES.index(registered.mode):
        return None
    return (
        f"{bucket.url} is registered as read-only for {registered.org}; use mode='ro', or an "
        f"administrator registers it as {registered.org}={bucket.url}:rw in the setting buckets"
    )
