"""The stored format of launch forms, and the packed format in which commands send them."""

import gzip
import json
import zlib
from typing import Any, Final

#: Maximum bytes of the JSON of a tree that a command sends; 100,000 Execs take about 20 MB.
MAX_UNPACKED: Final = 64 << 20


def pack_form(form: object) -> bytes:
    """Return a launch form as stored bytes; the same form gives the same bytes."""
    return gzip.compress(json.dumps(form).encode(), compresslevel=1, mtime=0)


def unpack_form(data: bytes) -> dict[str, object]:
    """Return the launch form that `pack_form` packed."""
    form: dict[str, object] = json.loads(gzip.decompress(data))
    return form


def unpack_tree(packed: bytes) -> Any:
    """Return the JSON value of a gzipped tree that a command has sent.

    Raises:
        ValueError: it is too large, incomplete, or not gzipped JSON.
    """
    try:
        unpacker = zlib.decompressobj(wbits=31)
        text = unpacker.decompress(packed, MAX_UNPACKED)
        if unpacker.unconsumed_tail:
            raise ValueError(f"it has over {MAX_UNPACKED >> 20} MB unpacked; make it smaller")
        if not unpacker.eof:
            raise ValueError("it is incomplete")
        return json.loads(text)
    except (zlib.error, RecursionError) as error:
        raise ValueError(str(error)) from error
