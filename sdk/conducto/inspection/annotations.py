"""Type annotations of native functions and methods, read without importing typing.

``typing`` and ``inspect`` cost more than all of conducto in a container that runs one small
function, so annotations are read directly; code that uses ``typing.List`` has already imported it.
"""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

_NOTHING = object()  # a parameter without a default
_VAR_POSITIONAL = 0x04  # flags of co_flags, from Python's data model
_VAR_KEYWORD = 0x08


class Kind:
    """The values that a parameter accepts.

    Attributes:
        base: The class of its values, or None for any.
        element: The kind of a list's elements, or None for any.
        optional: None is also accepted.
    """

    __slots__ = ("annotation", "base", "element", "optional")

    def __init__(
        self,
        base: Optional[type],
        annotation: Any,
        *,
        element: Optional[Kind] = None,
        optional: bool = False,
    ) -> None:
        self.base = base
        self.annotation = annotation
        self.element = element
        self.optional = optional

    def accepts(self, value: Any) -> bool:
        """Return whether ``value`` is of this kind; no conversion, an int is not a float."""
        if value is None and self.optional:
            return True
        if self.base is None:
            return True
        if not isinstance(value, self.base):
            return False
        items: Any = value
        return self.element is None or all(self.element.accepts(item) for item in items)


def kind_of(annotation: Any) -> Kind:
    """Return the kind of a parameter with that annotation.

    Raises:
        TypeError: no text on a command line could be converted to it.
    """
    origin = getattr(annotation, "__origin__", None)
    if _is_union(annotation, origin):
        return _union(annotation)
    if hasattr(annotation, "__metadata__"):  # typing.Annotated
        return kind_of(origin)
    if origin is not None:
        return _generic(annotation, origin)
    if hasattr(annotation, "__supertype__"):  # typing.NewType
        return kind_of(annotation.__supertype__)
    if isinstance(annotation, str) or _is_any(annotation):
        return Kind(None, annotation)
    if isinstance(annotation, type):
        return Kind(annotation, annotation)
    raise TypeError(f"Invalid type annotation {annotation}/{type(annotation)}")


def _is_union(annotation: Any, origin: Any) -> bool:
    if type(annotation).__name__ == "UnionType":
        return True
    typing = sys.modules.get("typing")
    return typing is not None and origin is typing.Union


def _is_any(annotation: Any) -> bool:
    typing = sys.modules.get("typing")
    return type(annotation).__name__ == "TypeVar" or (
        typing is not None and annotation is typing.Any
    )


def _union(annotation: Any) -> Kind:
    members = [arg for arg in getattr(annotation, "__args__", ()) if arg is not type(None)]
    if len(members) != 1:
        raise TypeError(f"Only Union[T, None] is allowed, i.e., Optional[T], got {annotation}")
    inner = kind_of(members[0])
    return Kind(inner.base, annotation, element=inner.element, optional=True)


def _generic(annotation: Any, origin: Any) -> Kind:
    if origin is not list:
        raise TypeError(f"Only typing.List[T] is allowed, got {annotation}")
    args = getattr(annotation, "__args__", None) or ()
    return Kind(list, annotation, element=kind_of(args[0]) if args else None)


def evaluate(text: str, names: Dict[str, Any]) -> Any:
    """Return the value of a string annotation in the module ``names``, or the text if unknown.

    ``int | None`` and ``list[int]`` work on every Python, as type checkers accept them in string
    annotations.
    """
    try:
        meaning = eval(text, names)  # noqa: S307 (the author's own annotation, as typing does)
    except TypeError:
        return _old_python(text, names)
    except (NameError, AttributeError, SyntaxError):
        return text
    quoted = isinstance(meaning, str) and meaning != text  # under postponed evaluation
    return evaluate(meaning, names) if quoted else meaning


def _old_python(text: str, names: Dict[str, Any]) -> Any:
    import typing

    if "|" in text:
        members = [evaluate(part.strip(), names) for part in text.split("|")]
        return typing.Union[tuple(members)]
    if text.startswith("list[") and text.endswith("]"):
        return typing.List[evaluate(text[5:-1].strip(), names)]  # type: ignore[misc]
    return text


class Parameter:
    """One parameter of a function.

    Attributes:
        kind: The values it accepts; a default of None makes it optional.
        annotated: Whether the kind comes from an annotation rather than the default.
        default: Its default; see `has_default`.
    """

    __slots__ = ("annotated", "default", "has_default", "kind", "name")

    def __init__(self, name: str, annotation: Any, default: Any) -> None:
        self.name = name
        self.has_default = default is not _NOTHING
        self.default = default if self.has_default else None
        self.annotated = annotation is not _NOTHING
        self.kind = kind_of(annotation) if self.annotated else Kind(None, None)
        if self.has_default and default is None:
            self.kind.optional = True


class Signature:
    """The parameters of a function.

    Attributes:
        parameters: ``{name: parameter}``, in order, the keyword-only ones last.
        special: ``[(name, kind)]`` of the others: ``*args``, ``**kwargs``, positional-only and
            keyword-only ones, with the names ``inspect`` has for their kinds.
    """

    __slots__ = ("parameters", "returns", "special")

    def __init__(
        self, parameters: Dict[str, Parameter], special: List[Tuple[str, str]], returns: Any
    ) -> None:
        self.parameters = parameters
        self.special = special
        self.returns = returns


def unwrapped(func: Any) -> Any:
    """Return the function behind decorators that use `functools.wraps`."""
    seen = set()
    while hasattr(func, "__wrapped__") and id(func) not in seen:
        seen.add(id(func))
        func = func.__wrapped__
    return func


def annotations_of(func: Any) -> Dict[str, Any]:
    """Return ``{parameter or "return": annotation}``, string annotations evaluated."""
    raw = getattr(func, "__annotations__", None) or {}
    names = getattr(func, "__globals__", {})
    return {
        key: evaluate(value, names) if isinstance(value, str) else value
        for key, value in raw.items()
    }


def returns_of(func: Callable[..., Any]) -> Any:
    """Return the return annotation of ``func``, evaluated, or None."""
    func = unwrapped(func)
    annotation = (getattr(func, "__annotations__", None) or {}).get("return")
    if isinstance(annotation, str):
        return evaluate(annotation, getattr(func, "__globals__", {}))
    return annotation


def signature_of(func: Callable[..., Any]) -> Signature:
    """Return the parameters of ``func``.

    Raises:
        TypeError: an annotation that cannot be used.
        ValueError: a callable without a signature, such as some C functions.
    """
    func = unwrapped(func)
    code = getattr(func, "__code__", None)
    if code is None or getattr(func, "__self__", None) is not None:
        return _inspected(func)
    return _from_code(func, code)


def _from_code(func: Any, code: Any) -> Signature:
    names = list(code.co_varnames)
    plain = names[: code.co_argcount]
    keyword_only = names[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    extra = names[code.co_argcount + code.co_kwonlyargcount :]
    special = [(name, "POSITIONAL_ONLY") for name in plain[: code.co_posonlyargcount]]
    if code.co_flags & _VAR_POSITIONAL:
        special.append((extra.pop(0), "VAR_POSITIONAL"))
    special.extend((name, "KEYWORD_ONLY") for name in keyword_only)
    if code.co_flags & _VAR_KEYWORD:
        special.append((extra.pop(0), "VAR_KEYWORD"))
    given = func.__defaults__ or ()
    defaults = dict(zip(plain[len(plain) - len(given) :], given))  # noqa: B905 (of Python 3.10)
    defaults.update(func.__kwdefaults__ or {})
    types = annotations_of(func)
    parameters = {
        name: Parameter(name, types.get(name, _NOTHING), defaults.get(name, _NOTHING))
        for name in (*plain, *keyword_only)
    }
    return Signature(parameters, special, types.get("return"))


def _inspected(func: Callable[..., Any]) -> Signature:
    import inspect

    parameters = {}
    special = []
    types = annotations_of(func)
    for name, parameter in inspect.signature(func).parameters.items():
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            special.append((name, parameter.kind.name))
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            empty = parameter.default is parameter.empty
            parameters[name] = Parameter(
                name, types.get(name, _NOTHING), _NOTHING if empty else parameter.default
            )
    return Signature(parameters, special, types.get("return"))


def node_type_of(method: Callable[..., Any]) -> Optional[type]:
    """Return the kind of node that ``method`` is annotated to return, or None.

    Raises:
        ValueError: the annotation is a node instead of a class.
    """
    annotation = returns_of(method)  # first: evaluating a string annotation may import the nodes
    module = sys.modules.get("conducto.tree.nodes")
    if module is None:
        return None
    node_class: Any = module.Node
    if isinstance(annotation, node_class):
        name = getattr(method, "__name__", method)
        raise ValueError(  # noqa: TRY004 (the type is a contract)
            f"{name} should return a Node type, e.g. '-> co.Serial', "
            f"but is annotated with the node {annotation!r}"
        )
    if isinstance(annotation, type) and issubclass(annotation, node_class):
        return annotation
    return None
