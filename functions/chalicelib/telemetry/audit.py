"""Copies the audit log to a bucket of the administrator, each minute.

One object per organisation and copy: gzip of JSON Lines, with an entry in each. An entry is copied
when its request has ended, or has been interrupted, at least once.
"""

import gzip
import json
import time
from collections import defaultdict
from collections.abc import Callable
from hashlib import sha256
from itertools import islice

from chalicelib.aws.table_keys import Key
from chalicelib.records import Records
from chalicelib.run.port import Blobs
from conducto_core.asl.rules.naming import Site
from conducto_core.installation.names import GATEWAY_SECONDS, log_prefix
from conducto_core.people.model import AuditEntry

#: Seconds after which the request of an entry has ended in any case.
_ENDED_SECONDS = 2 * GATEWAY_SECONDS
#: Maximum entries of one copy; those of the next minute are further ones.
MAX_ENTRIES = 5000
_DIGITS = 12


def copy_audit(
    records: Records, log_bucket: Blobs | None, site: Site, clock: Callable[[], float]
) -> int:
    """Copy the entries of ended requests that are not copied yet; return their number."""
    if log_bucket is None:
        return 0
    found: dict[str, list[tuple[Key, AuditEntry]]] = defaultdict(list)
    entries = records.audit.uncopied(clock() - _ENDED_SECONDS)
    for key, org, entry in islice(entries, MAX_ENTRIES):
        found[org].append((key, entry))
    for org, parts in found.items():
        folder = f"{log_prefix(site.stage)}{org}/audit"
        (first, oldest), *_ = parts
        lines = [_line(org, entry) for _, entry in parts]
        # A copy that is repeated has the same name.
        log_bucket.put(_object_key(folder, first, oldest), gzip.compress(b"".join(lines)))
        for key, _ in parts:
            records.audit.set_copied(key)
    return sum(map(len, found.values()))


def _object_key(folder: str, first: Key, oldest: AuditEntry) -> str:
    moment = time.strftime("%Y-%m-%d/%H%M%S", time.gmtime(oldest.time))
    return f"{folder}/{moment}-{sha256(first.sort.encode()).hexdigest()[:_DIGITS]}.jsonl.gz"


def _line(org: str, entry: AuditEntry) -> bytes:
    record = {"organisation": org, **entry.model_dump(mode="json")}
    return json.dumps(record, ensure_ascii=False).encode(errors="replace") + b"\n"
