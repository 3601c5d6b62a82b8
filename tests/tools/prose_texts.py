"""The texts that people read: docstrings, comments, messages, names of tests and docs."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

DOCSTRING, COMMENT, MESSAGE, TEST_NAME, DOCS = (
    "docstring",
    "comment",
    "message",
    "test name",
    "docs",
)


@dataclass(frozen=True)
class Text:
    """A text with its place; its line breaks are those of the file."""

    path: str
    line: int
    kind: str
    text: str

    def line_at(self, position: int) -> int:
        """Return the line of the file that shows a position of the text."""
        return self.line + self.text.count("\n", 0, position)


def texts_of(path: str, source: str) -> Iterator[Text]:
    """Yield the texts of a file; code in them is replaced by underscores."""
    suffix = path.rpartition(".")[2]
    if suffix in {"py", "pyi"}:
        yield from _python(path, source)
    elif suffix == "md":
        yield from _markdown(path, source)
    elif suffix in {"ts", "tsx", "js", "mjs", "css"}:
        yield from _script(path, source)
    elif suffix in {"sh", "toml", "yml", "yaml", "Makefile", "Dockerfile"} or path.startswith(
        ".ci/"
    ):
        yield from _comments(path, _hash_comments(source))


# Python

_DIRECTIVE = re.compile(r"#\s*(noqa|type:|pragma|ruff:|fmt:|mypy:|!|pyright:)")
#: How a string with SQL or with a program begins.
_PROGRAM = re.compile(
    r"\s*(ALTER|CREATE|DELETE|INSERT|PRAGMA|REPLACE|SELECT|UPDATE|WITH|import|from \w+ import|#!)\s"
)
#: The name of an argument, an attribute or an error: a rename, not prose, changes it.
_FIELD = re.compile(r"(?<=\n)[ \t]+\*{0,2}\w+(?=: )")
_WORDS = re.compile(r"[A-Za-z]{2,}\s+[A-Za-z]{2,}")


def _python(path: str, source: str) -> Iterator[Text]:
    tree = ast.parse(source)
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if ast.get_docstring(node, clean=False) is not None:
                value = node.body[0].value  # type: ignore[attr-defined]
                docstrings.add(value)
                text = _FIELD.sub(_underscores, _without_code(value.value))
                yield Text(path, value.lineno, DOCSTRING, text)
            name = getattr(node, "name", "")
            if name.startswith("test_"):
                yield Text(
                    path, node.lineno, TEST_NAME, name.removeprefix("test_").replace("_", " ")
                )
    for node in _messages(path, tree):
        text = _string(node)
        if node not in docstrings and _WORDS.search(text) and not _PROGRAM.match(text):
            yield Text(path, node.lineno, MESSAGE, _without_code(text))
    yield from _comments(path, _python_comments(source))


def _messages(path: str, tree: ast.Module) -> Iterator[ast.expr]:
    """Yield string expressions: in tests, only those of errors that are raised or printed."""
    roots: Iterator[ast.AST] = ast.walk(tree)
    if path.startswith("tests/"):
        roots = (node for node in roots if isinstance(node, ast.Raise) or _is_print(node))
    inside: set[ast.AST] = set()
    for root in roots:
        for node in ast.walk(root) if path.startswith("tests/") else [root]:
            if isinstance(node, ast.JoinedStr):
                inside.update(ast.walk(node))
                inside.discard(node)
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if node not in inside and (is_text or isinstance(node, ast.JoinedStr)):
                inside.add(node)
                yield node  # type: ignore[misc]


def _is_print(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    )


def _string(node: ast.expr) -> str:
    """Return the text of a string or an f-string; its values become underscores."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    parts = node.values if isinstance(node, ast.JoinedStr) else []
    return "".join(str(p.value) if isinstance(p, ast.Constant) else "_" for p in parts)


def _python_comments(source: str) -> Iterator[tuple[int, int, str]]:
    """Yield the line, the column and the text of each comment."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not _DIRECTIVE.match(token.string):
            yield (*token.start, token.string.lstrip("#:").strip())


def _hash_comments(source: str) -> Iterator[tuple[int, int, str]]:
    """Yield the comments of shell scripts, Makefiles, TOML and YAML that fill their line."""
    for number, line in enumerate(source.splitlines(), 1):
        text = line.lstrip()
        if text.startswith("#") and not text.startswith("#!"):
            yield number, len(line) - len(text), text.lstrip("#").strip()


def _comments(path: str, comments: Iterator[tuple[int, int, str]]) -> Iterator[Text]:
    """Yield comments; those of successive lines and the same column are one text."""
    start, end, column, lines = 0, 0, -1, list[str]()
    for number, at, text in comments:
        if lines and (number, at) == (end + 1, column):
            lines.append(text)
        else:
            if lines:
                yield Text(path, start, COMMENT, _without_code("\n".join(lines)))
            start, column, lines = number, at, [text]
        end = number
    if lines:
        yield Text(path, start, COMMENT, _without_code("\n".join(lines)))


# Markdown

_FENCE = re.compile(r"^[ \t>]*(```|~~~).*?^[ \t>]*\1[ \t]*$", re.MULTILINE | re.DOTALL)
_HIDDEN = re.compile(r"<!--.*?-->|<[a-z/][^>]*>|\]\([^)]*\)", re.DOTALL)


def _markdown(path: str, source: str) -> Iterator[Text]:
    """Yield the paragraphs, items and rows of tables."""
    text = _HIDDEN.sub(_blank, _FENCE.sub(_blank, source))
    line = 1
    for block in re.split(r"(\n(?=\s*\n|\s*[-*+] |\s*\d+\. |#|\|))", _without_code(text)):
        if block.strip():
            yield Text(path, line, DOCS, block)
        line += block.count("\n")


# TypeScript, JavaScript and CSS

_TOKEN = re.compile(
    r"""(?P<block>/\*.*?\*/)|(?P<line>(?<![:"'])//[^\n]*)
    |(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)""",
    re.DOTALL | re.VERBOSE,
)
_JSX = re.compile(r"[>}]([^<>{}=;]*[A-Za-z]{2,}\s+[A-Za-z]{2,}[^<>{}=;]*)[<{]")
_CODE_WORDS = re.compile(r"\b(function|export|const|interface|return|import|type)\b|&&|\|\|")


def _script(path: str, source: str) -> Iterator[Text]:
    lines: list[tuple[int, int, str]] = []
    line, last = 1, 0
    for match in _TOKEN.finditer(source):
        line, last = line + source.count("\n", last, match.start()), match.start()
        text = match[0]
        if match["line"]:
            column = match.start() - source.rfind("\n", 0, match.start())
            lines.append((line, column, text.lstrip("/").strip()))
        elif match["block"]:
            yield Text(path, line, COMMENT, _without_code(re.sub(r"(?m)^\s*\*+/?", "", text[2:-2])))
        elif _WORDS.search(text) and not path.endswith("css"):
            yield Text(path, line, MESSAGE, re.sub(r"\$\{[^}]*\}", "_", text[1:-1]))
    yield from _comments(path, iter(lines))
    if path.endswith("tsx"):
        code = _TOKEN.sub(_blank, source)
        for match in _JSX.finditer(code):
            if not _CODE_WORDS.search(match[1]):
                line = code.count("\n", 0, match.start(1)) + 1
                yield Text(path, line, MESSAGE, match[1])


# Code in texts

_CODE = re.compile(r"``[^`]+``|`[^`\n]*(?:\n[^`\n]*)?`|https?://\S+|^[ \t]*>>>.*$", re.MULTILINE)


def _without_code(text: str) -> str:
    return _CODE.sub(_underscores, text)


def _blank(match: re.Match[str]) -> str:
    """Return as many lines as the match has, without their text."""
    return re.sub(r"[^\n]", " ", match[0])


def _underscores(match: re.Match[str]) -> str:
    """Return a word as long as the match, over as many lines."""
    return re.sub(r"[^\n]", "_", match[0])
