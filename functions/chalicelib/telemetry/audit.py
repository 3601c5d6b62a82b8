"""Copies the audit log to a bucket of the administrator, each minute.

One object per organisation and copy: gzip of JSON Lines, with an entry in each. An entry is copied
when its request has ended, or has been interrupted, at least once.
"""

import gzip
import json
import logging
import time
from collections import defaultdict
from hashlib import sha256
from itertools import islice

from chalicelib.aws.table_keys import Key
from chalicelib.dependencies import Dependencies
from conducto_core.installation.names import GATEWAY_SECONDS, log_prefix
from conducto_core.people.model import AuditEntry

logger = logging.getLogger(__name__)

#: Seconds after which the request of an entry has ended in any case.
_ENDED_SECONDS = 2 * GATEWAY_SECONDS
#: Maximum entries of one copy; those of the next minute are further ones.
MAX_ENTRIES = 5000
_DIGITS = 12


def copy_audit(cloud: Dependencies) -> int:
    """Copy the entries of ended requests that are not copied yet; return their number."""
    if cloud.log_bucket is None:
        return 0
    found: dict[str, list[tuple[Key, AuditEntry]]] = defaultdict(list)
    entries = cloud.audit.uncopied(cloud.clock() - _ENDED_SECONDS)
    for key, org, entry in islice(entries, MAX_ENTRIES):
        found[org].append((key, entry))
    for org, parts in found.items():
        folder = f"{log_prefix(cloud.site.stage)}{org}/audit"
        (first, oldest), *_ = parts
        lines = [_line(org, entry) for _, entry in parts]
        # A copy that is repeated has the same name.
        cloud.log_bucket.put(_object_key(folder, first, oldest), gzip.compress(b"".join(lines)))
        for key, _ in parts:
            cloud.audit.set_copied(key)
    return sum(map(len, found.values()))


def _object_key(folder: str, first: Key, oldest: AuditEntry) -> str:
    moment = time.strftime("%Y-%m-%d/%H%M%S", time.gmtime(oldest.time))
    return f"{folder}/{moment}-{sha256(first.sort.encode()).hexdigest()[:_DIGITS]}.jsonl.gz"


def _line(org: str, entry: AuditEntry) -> bytes:
    record = {"organisation": org, **entry.model_dump(mode="json")}
    return json.dumps(record, ensure_ascii=False).encode(errors="replace") + b"\n"
