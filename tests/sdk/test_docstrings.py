"""Docstrings in the three common styles."""

from __future__ import annotations

import pytest

from conducto.inspection.docstrings import parse

GOOGLE = """Train.

Some text: with a colon.

Args:
    depth (int): Of the tree,
        at most 9.
    *names: All of them.

Returns:
    nothing: at all.
"""
NUMPY = """Train.

Some text: with a colon.

Parameters
----------
depth : int, optional
    Of the tree,
    at most 9.
*names
    All of them.

Returns
-------
nothing
    At all.
"""
REST = """Train.

Some text: with a colon.

:param int depth: Of the tree,
    at most 9.
:param names: All of them.
:type names: str
:returns: nothing: at all.
"""


@pytest.mark.parametrize("doc", [GOOGLE, NUMPY, REST], ids=["google", "numpy", "rest"])
def test_parameters_are_found_in_every_style(doc: str) -> None:
    text, parameters = parse(doc)

    assert text == "Train.\n\nSome text: with a colon."
    assert parameters == {"depth": "Of the tree, at most 9.", "names": "All of them."}


@pytest.mark.parametrize("doc", ["", "One line.", "Args:", "Parameters\n----------", ":param:"])
def test_docstring_without_parameters_has_none(doc: str) -> None:
    assert parse(doc)[1] == {}
