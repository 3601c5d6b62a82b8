"""Signatures of native functions and methods, read without importing typing.

``typing`` and ``inspect`` cost more than all of conducto in a container that runs one small
function, so annotations are read directly; code that uses ``typing.List`` has already imported it.
"""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

import sys

from conducto.inspection.annotations import evaluate, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

    from conducto.inspection.codecs.base import Codec

_NOTHING = object()  # a parameter without a default
_VAR_POSITIONAL = 0x04  # flags of co_flags, from Python's data model
_VAR_KEYWORD = 0x08


class Parameter:
    """One parameter of a function.

    Attributes:
        annotation: Its annotation; see `annotated`.
        annotated: Whether it has an annotation; if not, the type comes from the default.
        default: Its default; see `has_default`.
    """

    __slots__ = ("_codec", "_names", "annotated", "annotation", "default", "has_default", "name")

    def __init__(self, name: str, annotation: Any, default: Any, names: Dict[str, Any]) -> None:
        self.name = name
        self.has_default = default is not _NOTHING
        self.default = default if self.has_default else None
        self.annotated = annotation is not _NOTHING
        self.annotation = annotation if self.annotated else None
        self._names = names
        self._codec: Optional[Codec] = None

    @property
    def codec(self) -> Codec:
        """How its values are written on a command line; a default of None makes it optional.

        Raises:
            TypeError: values of its type cannot be passed.
        """
        if self._codec is None:
            from conducto.inspection.codecs.parameter import of_annotation, of_default

            if self.annotated:
                if isinstance(self.annotation, str):
                    self.annotation = resolve(self.annotation, self._names)
                optional = self.has_default and self.default is None
                self._codec = of_annotation(self.annotation, self._names, optional=optional)
            else:
                self._codec = of_default(self.default)
        return self._codec


class Signature:
    """The parameters of a function.

    Attributes:
        parameters: ``{name: parameter}``, in order, the keyword-only ones last.
        special: ``[(name, kind)]`` of the others: ``*args``, ``**kwargs``, positional-only and
            keyword-only ones, with the names ``inspect`` has for their kinds.
        rest: ``{kind: parameter}`` of ``*args`` and ``**kwargs``, with the type of each value.
    """

    __slots__ = ("parameters", "rest", "special")

    def __init__(
        self, parameters: Dict[str, Parameter], special: List[Tuple[str, str]], func: Any
    ) -> None:
        self.parameters = parameters
        self.special = special
        self.rest = {
            kind: _parameter(func, name) for name, kind in special if kind.startswith("VAR_")
        }


def unwrapped(func: Any) -> Any:
    """Return the function behind decorators that use `functools.wraps`."""
    seen = set()
    while hasattr(func, "__wrapped__") and id(func) not in seen:
        seen.add(id(func))
        func = func.__wrapped__
    return func


def _annotations(func: Any) -> Mapping[str, Any]:
    """Return ``{parameter or "return": annotation}`` as written: some may be strings."""
    try:
        return getattr(func, "__annotations__", None) or {}
    except NameError:  # Python 3.14 evaluates them now; a name is imported for type checkers only
        import annotationlib  # type: ignore[import-not-found,unused-ignore]

        found: Dict[str, Any] = annotationlib.get_annotations(
            func, format=annotationlib.Format.STRING
        )
        return found


def _parameter(func: Any, name: str, default: Any = _NOTHING) -> Parameter:
    annotation = _annotations(func).get(name, _NOTHING)
    return Parameter(name, annotation, default, getattr(func, "__globals__", {}))


def returns_of(func: Callable[..., Any]) -> Any:
    """Return the return annotation of ``func``, evaluated, or None."""
    func = unwrapped(func)
    annotation = _annotations(func).get("return")
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
    parameters = {
        name: _parameter(func, name, defaults.get(name, _NOTHING))
        for name in (*plain, *keyword_only)
    }
    return Signature(parameters, special, func)


def _inspected(func: Callable[..., Any]) -> Signature:
    import inspect

    parameters = {}
    special = []
    for name, parameter in inspect.signature(func).parameters.items():
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            special.append((name, parameter.kind.name))
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            empty = parameter.default is parameter.empty
            default = _NOTHING if empty else parameter.default
            parameters[name] = _parameter(func, name, default)
    return Signature(parameters, special, func)


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
