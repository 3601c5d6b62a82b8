"""`co.util.magic_doc`: a function's docstring and source as markdown, without importing it."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING

import pytest

from conducto.util import magic_doc

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = '''\
#!/usr/bin/env python
# About the file.
"""The module."""
from conducto.util import magic_doc

print("imported", flush=True)

# Not this one.

# Above documented.
#   Indented.
def documented(**how) -> str:
    """First line.

        Indented line.
    Last.
    """
    # Inside.
    x = 1
    return magic_doc(**how)

def bare(**how):
    # First comment.
    # Second.
    return magic_doc(**how)

def nothing(**how):
    return magic_doc(**how)

def decorator(f):
    import functools
    @functools.wraps(f)
    def inner(*a, **k):
        return f(*a, **k)
    return inner

# Above the decorator.
@decorator
@decorator
def decorated(**how):
    "One line."
    return magic_doc(**how)

class Holder:
    # Above the method.
    def method(self, **how):
        """A method."""
        return magic_doc(**how)

async def later(**how):
    """Later."""
    return magic_doc(**how)

def fenced(**how):
    return magic_doc(**how), """
```
"""

def outer():
    def inner(**how):
        """Within."""
        return magic_doc(**how)
    return inner

at_module_level = magic_doc(comment=True), magic_doc(doc_only=True), magic_doc()
'''


@pytest.fixture
def ask(python, tmp_path: Path):
    """Evaluates an expression in the script, as its main module; returns it and the output."""

    def evaluate(expression: str):
        path = tmp_path / "not importable.py"
        path.write_text(SCRIPT + f"\nimport json; print(json.dumps({expression}))\n")
        result = python(str(path))
        assert result.stderr == b""
        lines = result.stdout.decode().splitlines()
        assert lines.count("imported") == 1
        return json.loads(lines[-1])

    return evaluate


def test_the_calling_function_is_shown_without_its_docstring(ask) -> None:
    text = ask("documented()")

    assert text == (
        "First line.\n\n    Indented line.\nLast.\n\n"
        "```python\n"
        "def documented(**how) -> str:\n"
        "    # Inside.\n"
        "    x = 1\n"
        "    return magic_doc(**how)\n"
        "\n```"
    )


def test_a_given_function_is_shown_the_same_way(ask) -> None:
    given, called = ask("[magic_doc(func=documented), documented()]")

    assert given == called


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("documented(doc_only=True)", "First line.\n\n    Indented line.\nLast."),
        ("nothing(doc_only=True)", ""),
        ("documented(comment=True)", "Above documented.\n  Indented."),
        ("bare(comment=True)", "First comment.\nSecond."),
        ("nothing(comment=True)", ""),
        ("decorated(comment=True)", "Above the decorator."),
        ("magic_doc(func=decorated, doc_only=True)", "One line."),
        ("Holder().method(comment=True)", "Above the method."),
        ("magic_doc(func=Holder.method, doc_only=True)", "A method."),
        ("magic_doc(func=Holder().method, doc_only=True)", "A method."),
        ("magic_doc(func=later, doc_only=True)", "Later."),
        ("outer()(doc_only=True)", "Within."),
        ("at_module_level[0]", "About the file."),
        ("at_module_level[1]", "The module."),
    ],
)
def test_parts_can_be_asked_for(expression: str, text: str, ask) -> None:
    assert ask(expression) == text


def test_decorators_belong_to_the_source(ask) -> None:
    text = ask("decorated()")

    assert "```python\n@decorator\n@decorator\ndef decorated(**how):\n    return" in text


def test_a_method_is_unindented(ask) -> None:
    assert "```python\ndef method(self, **how):\n    return magic_doc(**how)\n" in ask(
        "Holder().method()"
    )


def test_backquotes_in_the_source_do_not_end_the_fence(ask) -> None:
    text = ask("fenced()[0]")

    assert text.startswith("\n\n````python\n")
    assert text.endswith("\n````")


def test_the_module_is_shown_when_called_outside_of_functions(ask) -> None:
    text = ask("at_module_level[2]")

    assert text.startswith("The module.\n\n````python\n#!/usr/bin/env python\n")
    assert '"""The module."""' not in text


def test_without_a_file_there_is_the_docstring() -> None:
    made: dict = {}
    exec('def f():\n    """Only this."""\n    return magic_doc()', {"magic_doc": magic_doc}, made)

    assert magic_doc(func=made["f"]) == "Only this."
    assert magic_doc(func=made["f"], comment=True) == ""
    assert made["f"]() == ""


def test_partials_are_looked_through() -> None:
    assert magic_doc(func=functools.partial(ask_me, 1), doc_only=True) == "Ask me."


def test_a_builtin_has_no_source() -> None:
    with pytest.raises(TypeError, match="needs a function written in Python, got <built-in"):
        magic_doc(func=len)


def ask_me(_number: int) -> None:
    """Ask me."""
