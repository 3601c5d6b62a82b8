"""``X | Y`` and ``list[X]`` in string annotations on Python 3.8 and 3.9."""

from __future__ import annotations

import ast
import typing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

_TYPING = "_conducto_typing"
_GENERIC = {
    "list": "List",
    "dict": "Dict",
    "tuple": "Tuple",
    "set": "Set",
    "frozenset": "FrozenSet",
    "type": "Type",
}


class _Translator(ast.NodeTransformer):
    """Replaces newer syntax by names of `typing`."""

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        """Replace ``X | Y`` by ``Union[X, Y]``."""
        self.generic_visit(node)
        if not isinstance(node.op, ast.BitOr):
            return node
        members = ast.Tuple([node.left, node.right], ast.Load())
        index: Any = members if hasattr(ast, "unparse") else ast.Index(members)
        return ast.Subscript(_typing("Union"), index, ast.Load())

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        """Replace ``list[X]`` by ``List[X]``, and leave the values of a Literal."""
        name = getattr(node.value, "id", getattr(node.value, "attr", ""))
        if name == "Literal":
            return node
        self.generic_visit(node)
        if name in _GENERIC and isinstance(node.value, ast.Name):
            node.value = _typing(_GENERIC[name])
        elif name in typing.__all__:  # also a generic class of collections.abc
            node.value = _typing(name)
        return node

    def visit_Constant(self, node: ast.Constant) -> Any:
        """Translate a type in quotes inside the annotation."""
        if not isinstance(node.value, str):
            return node
        return self.visit(ast.parse(node.value, mode="eval").body)


def _typing(name: str) -> ast.expr:
    return ast.Attribute(ast.Name(_TYPING, ast.Load()), name, ast.Load())


def value_on_old_python(text: str, names: Mapping[str, Any]) -> Any:
    """Return the value of a string annotation whose syntax this Python does not evaluate."""
    tree = ast.parse(text, mode="eval")
    translated = ast.fix_missing_locations(ast.Expression(_Translator().visit(tree.body)))
    code = compile(translated, "<annotation>", "eval")
    return eval(code, {**names, _TYPING: typing})  # noqa: S307 (the author's own annotation)
