"""Directories of this machine that stand for buckets of S3.

::

    [buckets]                      in ~/.conducto/<profile>/config
    acme = /home/ann/acme          or CONDUCTO_BUCKET_ACME in the environment of the agent

A name in a variable has capital letters, and ``_`` for other characters than letters and digits.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from conducto.api.config import Config
from conducto.wire.buckets import Bucket
from conducto_core.errors import check_each, invalid
from conducto_core.tree.model import NodeSpec
from conducto_local.agent.state_dir import StateDir
from conducto_local.engine.port import Mount, WorkerStartError

SECTION = "buckets"


class BucketError(WorkerStartError):
    """A bucket has no usable directory; the message has the remedy."""


def check_buckets(nodes: Iterable[NodeSpec], home: StateDir) -> None:
    """Reject Execs with buckets that have no directory on this machine.

    Raises:
        DefinitionError: There are such Execs.
    """
    known: dict[Bucket, str] = {}

    def check(node: NodeSpec) -> None:
        for bucket in node.placement.buckets:
            if bucket not in known:
                known[bucket] = _problem(bucket, home)
            if known[bucket]:
                raise invalid(node.path, known[bucket])

    check_each((node for node in nodes if node.placement.buckets), check)


def bucket_mounts(buckets: Iterable[Bucket], home: StateDir) -> tuple[Mount, ...]:
    """Return the mounts of buckets; the directory of a prefix to write to is created.

    Raises:
        BucketError: A bucket has no directory.
    """
    found = []
    for bucket in buckets:
        root = _root(bucket, home)
        directory = root / bucket.prefix
        if bucket.mode == "rw":
            try:
                directory.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise BucketError(f"{bucket.url}: {directory} cannot be made: {error}") from error
        real = directory.resolve()
        if not real.is_dir():
            raise BucketError(f"{bucket.url}: {directory} is not a directory; create it")
        if not real.is_relative_to(root.resolve()):
            raise BucketError(f"{bucket.url}: {directory} is a link that leaves {root}; remove it")
        found.append(Mount(str(real), bucket.path, read_only=bucket.mode == "ro"))
    return tuple(found)


def variable_of(bucket: Bucket) -> str:
    """Return the name of the variable with the directory of a bucket."""
    return "CONDUCTO_BUCKET_" + re.sub(r"[^A-Z0-9]", "_", bucket.name.upper())


def _problem(bucket: Bucket, home: StateDir) -> str:
    try:
        root = _root(bucket, home)
    except BucketError as error:
        return str(error)
    if bucket.mode == "ro" and not (root / bucket.prefix).is_dir():
        return f"{bucket.url}: {root / bucket.prefix} is not a directory; create it"
    return ""


def _root(bucket: Bucket, home: StateDir) -> Path:
    """Return the directory that stands for the whole bucket."""
    variable = variable_of(bucket)
    file = Config.get_profile_config(home.profile)
    given = os.environ.get(variable) or file.get(SECTION, bucket.name, fallback=None)
    if not given:
        raise BucketError(
            f"{bucket.url}: no directory of this machine stands for the bucket {bucket.name}. "
            "Mount or copy it (e.g. aws s3 sync), and name the directory in "
            f"{home.root / 'config'}: [{SECTION}] {bucket.name} = /path; or in {variable}, before "
            "the agent starts"
        )
    root = Path(given).expanduser()
    if not root.is_absolute() or not root.is_dir():
        raise BucketError(
            f"{bucket.url}: {given!r} is not the absolute path of a directory; correct "
            f"[{SECTION}] {bucket.name} in {home.root / 'config'}, or {variable}"
        )
    return root
