"""Ids of nodes: a pure function of the path, so that they are stable across launches."""

from __future__ import annotations

ROOT = 1
_FACTOR = 1_000_000_007
_MODULUS = 2**127 - 1
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_PAIRS = [low + high for high in _DIGITS for low in _DIGITS]
_BASE = len(_DIGITS)
_LIMB = _BASE**10  # fits 60 bits: most of the division is done on machine words


def child_number(parent: int, name: str) -> int:
    """Return the number of the child ``name`` of the node with the number ``parent``."""
    number = parent
    for char in "/" + name:
        number = (number * _FACTOR + ord(char)) % _MODULUS
    return number


def to_text(number: int) -> str:
    """Return ``number`` in base 62, the least significant digit first.

    >>> to_text(ROOT), to_text(child_number(ROOT, "p"))
    ('B', 'wb8yD1pA2LB')
    """
    out = []
    while number >= _LIMB:
        number, limb = divmod(number, _LIMB)
        for _ in range(5):
            limb, pair = divmod(limb, _BASE * _BASE)
            out.append(_PAIRS[pair])
    while number >= _BASE:
        number, pair = divmod(number, _BASE * _BASE)
        out.append(_PAIRS[pair] if number or pair >= _BASE else _DIGITS[pair])
    if number:
        out.append(_DIGITS[number])
    return "".join(out)
