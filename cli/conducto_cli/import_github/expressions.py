"""Expressions of GitHub Actions, ``${{ … }}``, as Python and as text for a shell."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Callable
from dataclasses import dataclass

_MARK = re.compile(r"\$\{\{((?:'(?:[^']|'')*'|[^'}]|\}(?!\}))*)\}\}")
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])"
    r"|(?P<call>[A-Za-z]+)\s*(?=\()|(?P<path>[A-Za-z_][\w-]*(?:\.[\w*:-]+|\['[\w-]+'\]|\[\d+\])*)"
    r"|(?P<sign>&&|\|\||[=!<>]=|[!<>(),]))"
)
_SIGNS = {"&&": " and ", "||": " or ", "!": " not "}
_WORDS = {"true": "True", "false": "False", "null": "''"}
_REFS = {"github.ref", "github.event.ref"}
_STATUS = {
    "always()": "always",
    "not cancelled()": "always",
    "success() or failure()": "always",
    "failure() or success()": "always",
    "success()": "success",
    "failure()": "failure",
}


class UntranslatedError(Exception):
    """Something has no counterpart; the message has the reason and a proposal."""


@dataclass(frozen=True, slots=True)
class Code:
    """The translation of an expression.

    Attributes:
        text: Python, or a part of a shell script.
        names: Python variables in it.
        in_shell: Whether it is a part of a shell script.
        constant: Its value if that is known, else None.
        boolean: Whether it is the name of a boolean.
    """

    text: str
    names: frozenset[str] = frozenset()
    in_shell: bool = False
    constant: str | bool | None = None
    boolean: bool = False

    @classmethod
    def from_constant(cls, value: str | bool) -> Code:
        text = str(value) if isinstance(value, bool) else json.dumps(value, ensure_ascii=False)
        return cls(text, constant=value)

    @classmethod
    def variable(cls, name: str, *, boolean: bool = False) -> Code:
        return cls(name, frozenset({name}), boolean=boolean)


Lookup = Callable[[str], Code]
#: Text with expressions in it.
Text = tuple[str | Code, ...]


def as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def plain(text: Text) -> str:
    """Return text with an underscore in place of each expression."""
    return "".join(part if isinstance(part, str) else "_" for part in text)


def parts_of(text: str, lookup: Lookup) -> Text:
    """Return text with its expressions translated, and constants put in.

    Raises:
        UntranslatedError: an expression has no counterpart.
    """
    found: list[str | Code] = [""]
    at = 0
    for mark in _MARK.finditer(text):
        code = translate(mark[1], lookup)
        found[-1] = f"{found[-1]}{text[at : mark.start()]}"
        if code.boolean:
            code = Code(f"str({code.text}).lower()", code.names)
        if code.constant is not None:
            found[-1] = f"{found[-1]}{as_text(code.constant)}"
        else:
            found += [code, ""]
        at = mark.end()
    found[-1] = f"{found[-1]}{text[at:]}"
    return tuple(part for part in found if part != "")


def translate(text: str, lookup: Lookup) -> Code:
    """Return the translation of an expression.

    Raises:
        UntranslatedError: it has no counterpart.
    """
    tree, paths = _parse(text)
    if isinstance(tree, ast.Name):  # also one that only a shell knows
        return lookup(paths[tree.id])
    if isinstance(tree, ast.Call) and _function(tree) == "hashFiles":
        return Code(_sum_of([str(ast.literal_eval(each)) for each in tree.args]), in_shell=True)
    return _code(_Translator(paths, lookup).visit(tree))


def condition(text: str, lookup: Lookup) -> tuple[bool, Code]:
    """Return whether an ``if`` holds after failures, too, and the rest of it.

    Raises:
        UntranslatedError: it has no counterpart.
    """
    mark = _MARK.fullmatch(text.strip())
    tree, paths = _parse(text if mark is None else mark[1])
    is_and = isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And)
    terms = tree.values if is_and and isinstance(tree, ast.BoolOp) else [tree]
    statuses = {found for term in terms if (found := _STATUS.get(ast.unparse(term)))}
    if "failure" in statuses or len(statuses) > 1:
        raise UntranslatedError(
            "nothing runs only after failures; use conducto notify, or always() for clean-up"
        )
    rest = [term for term in terms if ast.unparse(term) not in _STATUS] or [ast.Constant(True)]
    tree = rest[0] if len(rest) == 1 else ast.BoolOp(ast.And(), rest)
    code = _code(_Translator(paths, lookup).visit(tree))
    return "always" in statuses, code if code.constant is None else Code.from_constant(
        bool(code.constant)
    )


def _parse(text: str) -> tuple[ast.expr, dict[str, str]]:
    """Return an expression in Python's syntax, and ``{name in it: path of GitHub}``."""
    paths: dict[str, str] = {}
    words = []
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            break
        word, at = found[str(found.lastgroup)], found.end()
        if found["text"]:
            word = repr(word[1:-1].replace("''", "'"))
        elif found["number"]:
            word = repr(word)  # values of the matrix are text, too
        elif found["path"] and word in _WORDS:
            word = _WORDS[word]
        elif found["path"]:
            name = f"_{len(paths)}"
            paths[name], word = re.sub(r"\['?([\w-]+)'?\]", r".\1", word), name
        words.append(_SIGNS.get(word, word))
    try:
        source = " ".join(words) if not text[at:].strip() else ""  # the rest has no meaning
        return ast.parse(source.strip(), mode="eval").body, paths
    except (SyntaxError, RecursionError, MemoryError):
        message = f"{text.strip()!r} is not an expression; correct it"
        raise UntranslatedError(message) from None


def _function(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _code(tree: ast.expr) -> Code:
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str | bool):
        return Code.from_constant(tree.value)
    names = frozenset(each.id for each in ast.walk(tree) if isinstance(each, ast.Name))
    text = ast.unparse(tree)
    for token in [*tokenize.generate_tokens(io.StringIO(text).readline)][::-1]:
        if re.fullmatch(r"'[^\"\\]*'", token.string):  # formatters write "x"
            start, end = token.start[1], token.end[1]
            text = f'{text[:start]}"{token.string[1:-1]}"{text[end:]}'
    return Code(re.sub(r"\((not \w+)\)", r"\1", text), names)


def _sum_of(patterns: list[str]) -> str:
    names = [
        f"$(find . -path '*/{each.removeprefix('**/')}' | sort)" if each.startswith("**/") else each
        for each in patterns
    ]
    return f"$(cat {' '.join(names)} | sha256sum | cut -c1-16)"


class _Translator(ast.NodeTransformer):
    """Replaces the values of GitHub in an expression, and what Python writes otherwise."""

    def __init__(self, paths: dict[str, str], lookup: Lookup) -> None:
        self._paths = paths
        self._lookup = lookup

    def visit_Name(self, node: ast.Name) -> ast.expr:
        code = self._lookup(self._paths[node.id])
        if code.in_shell:
            raise UntranslatedError(
                "a condition on a value that only the command knows; test it in the command"
            )
        return ast.parse(code.text, mode="eval").body

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        operand = self.visit(node.operand)
        if isinstance(operand, ast.Constant):
            return ast.Constant(not operand.value)
        return ast.UnaryOp(node.op, operand)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        """Leave out constants that do not matter; ``a && b || c`` is a choice."""
        is_and = isinstance(node.op, ast.And)
        first = node.values[0]
        if not is_and and isinstance(first, ast.BoolOp) and isinstance(first.op, ast.And):
            *tests, value = first.values
            other = node.values[1] if len(node.values) == 2 else None  # noqa: PLR2004
            if isinstance(value, ast.Constant | ast.Name) and other is not None:
                test = self.visit(tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests))
                if isinstance(test, ast.Constant):
                    return self.visit(value if test.value else other)  # type: ignore[no-any-return]
                return ast.IfExp(test, self.visit(value), self.visit(other))
        kept: list[ast.expr] = []
        for value in map(self.visit, node.values):
            if not isinstance(value, ast.Constant):
                kept.append(value)
            elif bool(value.value) is not is_and:
                return value
        if len(kept) < 2:  # noqa: PLR2004
            return kept[0] if kept else ast.Constant(is_and)
        return ast.BoolOp(node.op, kept)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        operator, equal = node.ops[0], isinstance(node.ops[0], ast.Eq)
        path, right = self._path(node.left), node.comparators[0]
        if isinstance(operator, ast.Eq | ast.NotEq) and isinstance(right, ast.Constant):
            if path in {"github.repository", "github.repository_owner"}:
                return ast.Constant(equal)  # triggers are of one repository
            if path == "github.ref_type":
                return self._of_tag("!=" if (right.value == "tag") is equal else "==", "")
            if path in _REFS and (found := self._of_ref("==" if equal else "!=", right)):
                return found
        left, right = self.visit(node.left), self.visit(right)
        if isinstance(right, ast.Constant) and isinstance(operator, ast.Eq | ast.NotEq):
            if isinstance(left, ast.Constant):
                texts = {str(each.value).lower() for each in (left, right)}
                return ast.Constant((len(texts) == 1) is equal)
            if isinstance(right.value, bool):
                return left if right.value is equal else ast.UnaryOp(ast.Not(), left)
        return ast.Compare(left, [operator], [right])

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = _function(node)
        if self._path(node.args[0] if node.args else node) in _REFS and len(node.args) == 2:  # noqa: PLR2004
            found = self._of_ref(name, node.args[1])
            if found is not None:
                return found
        if name == "format" and node.args:
            text, *values = map(self.visit, node.args)
            return ast.Call(ast.Attribute(text, "format", ast.Load()), values, [])
        if name not in {"startsWith", "endsWith", "contains"} or len(node.args) != 2:  # noqa: PLR2004
            proposal = (
                "write it as the whole 'if'"
                if f"{name}()" in _STATUS
                else "compute it in the command"
            )
            raise UntranslatedError(f"{name}() has no counterpart here; {proposal}")
        text, part = map(self.visit, node.args)
        if name == "contains":
            return ast.Compare(part, [ast.In()], [text])
        return ast.Call(ast.Attribute(text, name.lower(), ast.Load()), [part], [])

    def _path(self, node: ast.expr) -> str:
        return self._paths.get(node.id, "") if isinstance(node, ast.Name) else ""

    def _of_ref(self, operator: str, value: ast.expr) -> ast.expr | None:
        """Return a condition on ``github.ref`` as one on the branch or the tag."""
        text = str(value.value) if isinstance(value, ast.Constant) else ""
        found = re.fullmatch("(?:refs/)?(heads|tags)/?(.*)", text)
        if found is None:
            return None
        name = "branch" if found[1] == "heads" else "tag"
        if operator in {"startsWith", "contains"}:
            operator = ".startswith" if found[2] else "!="
        return self._of_tag(operator, found[2], name)

    def _of_tag(self, operator: str, text: str, name: str = "tag") -> ast.expr:
        variable = self._lookup(f"github.{name}").text
        source = (
            f"{variable}.startswith({text!r})"
            if operator == ".startswith"
            else f"{variable} {operator} {text!r}"
        )
        return ast.parse(source, mode="eval").body
