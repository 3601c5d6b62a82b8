"""Validation of the tree that a Lazy generated, between the worker and the store."""

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

#: Maximum bytes of a tree's JSON.
MAX_UNPACKED = 1 << 29


class GeneratedTreeError(Exception):
    """The generated tree is invalid; the message gives the reason."""


def unpack(written: str) -> bytes:
    """Decode a tree from the base64 text of a report; raises `GeneratedTreeError`."""
    try:
        return base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError) as error:
        raise GeneratedTreeError(f"printed a broken tree: {error}") from error


def form_of(packed: bytes) -> bytes:
    """Convert a tree from gzipped JSON to the form that is stored; raises `GeneratedTreeError`."""
    if len(packed) > MAX_TREE:
        raise GeneratedTreeError(f"printed a tree of over {MAX_TREE >> 20} MB; make it smaller")
    try:
        unpacker = zlib.decompressobj(wbits=31)
        text = unpacker.decompress(packed, MAX_UNPACKED)
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise GeneratedTreeError(
                "printed a tree that is truncated, or too large after decompression"
            )
        document = json.loads(text)
        return pack_form(from_wire_document(document))
    except (zlib.error, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise GeneratedTreeError(f"printed a broken tree: {error!r}") from error


class Prepared(NamedTuple):
    """A command ready to run, with the current secrets."""

    script: str
    env: dict[str, str]
    secrets: InjectedSecrets
