"""The tree that a Lazy printed, on its way from a worker into the store."""

import base64
import binascii
import json
import zlib
from typing import NamedTuple

from chalicelib.services.secret_injection import InjectedSecrets
from conducto.wire.lazy_form import from_wire_document
from conducto_core.model.form_codec import pack_form, unpack_form
from conducto_core.model.worker import (
    MAX_TREE,
)

__all__ = ["GeneratedTreeError", "form_of", "unpack", "unpack_form"]

#: Bytes of a printed tree's JSON.
MAX_UNPACKED = 1 << 29


class GeneratedTreeError(Exception):
    """What came is no tree; the message says what is wrong."""


def unpack(written: str) -> bytes:
    """Return the bytes of a tree that is in a report as base64.

    Raises:
        GeneratedTreeError: it is no base64.
    """
    try:
        return base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError) as error:
        raise GeneratedTreeError(f"printed a broken tree: {error}") from error


def form_of(packed: bytes) -> bytes:
    """Return a printed tree as the store keeps it, from gzip of its JSON.

    Raises:
        GeneratedTreeError: it is none.
    """
    if len(packed) > MAX_TREE:
        raise GeneratedTreeError(f"printed a tree of over {MAX_TREE >> 20} MB; make it smaller")
    try:
        unpacker = zlib.decompressobj(wbits=31)
        text = unpacker.decompress(packed, MAX_UNPACKED)
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise GeneratedTreeError("printed a tree that is cut short, or too large unpacked")
        document = json.loads(text)
        return pack_form(from_wire_document(document))
    except (zlib.error, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise GeneratedTreeError(f"printed a broken tree: {error!r}") from error


class Prepared(NamedTuple):
    """A command as it is to run, with the secrets of now."""

    script: str
    env: dict[str, str]
    secrets: InjectedSecrets
