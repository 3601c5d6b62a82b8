"""The stored format of launch forms."""

import gzip
import json


def pack_form(form: object) -> bytes:
    """Return a launch form as stored bytes; the same form gives the same bytes."""
    return gzip.compress(json.dumps(form).encode(), compresslevel=1, mtime=0)


def unpack_form(data: bytes) -> dict[str, object]:
    """Return the launch form that `pack_form` packed."""
    form: dict[str, object] = json.loads(gzip.decompress(data))
    return form
