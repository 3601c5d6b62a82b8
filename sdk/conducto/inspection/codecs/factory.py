"""The codec of a type."""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

import sys

from conducto.inspection.annotations import resolve
from conducto.inspection.codecs import arrays, scalars
from conducto.inspection.codecs.unions import union_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Mapping, Optional, Tuple

    from conducto.inspection.codecs.base import Codec

_ABSTRACT = {
    "Sequence": list,
    "MutableSequence": list,
    "Collection": list,
    "Iterable": list,
    "Iterator": list,
    "Set": set,
    "MutableSet": set,
    "Mapping": dict,
    "MutableMapping": dict,
}
_WRAPPERS = ("Required", "NotRequired", "ReadOnly", "Final")
#: The types of ``X | Y``; the second one is that of Python 3.14.
_UNIONS = (("types", "UnionType"), ("typing", "Union"))
_BY_TEXT = {"decimal": "Decimal", "uuid": "UUID", "fractions": "Fraction"}


def make(annotation: Any, names: Dict[str, Any]) -> Codec:
    """Return the codec of an annotation; string annotations are evaluated with ``names``.

    Raises:
        TypeError: values of the type cannot be passed.
    """
    text = getattr(annotation, "__forward_arg__", annotation)  # of typing.ForwardRef
    if isinstance(text, str):
        return make(resolve(text, names), names)
    inner = _wrapped(annotation)
    if inner is not None:
        return make(inner, names)
    if is_any(annotation):
        return arrays.Data()
    origin = getattr(annotation, "__origin__", None)
    if origin is None and not is_union(annotation):
        return of_class(annotation)
    return _generic(annotation, origin, names)


def _generic(annotation: Any, origin: Any, names: Dict[str, Any]) -> Codec:
    args = getattr(annotation, "__args__", None) or ()
    if is_union(annotation):
        return union_of([make(arg, names) for arg in args])
    if _special_name(origin) == "Literal":
        return scalars.literal(args)
    if origin in _arrays():
        return _array(annotation, origin, args, names)
    return of_class(origin if _is_record(origin) else annotation)


def _wrapped(annotation: Any) -> Any:
    """Return the type inside Annotated, NewType, an alias, or a wrapper such as Final."""
    origin = getattr(annotation, "__origin__", None)
    if hasattr(annotation, "__metadata__"):  # typing.Annotated
        return origin
    if type(annotation).__name__ == "TypeAliasType":
        return annotation.__value__
    if _special_name(origin) in _WRAPPERS:
        return annotation.__args__[0]
    return getattr(annotation, "__supertype__", None)  # typing.NewType


def _special_name(origin: Any) -> Optional[str]:
    return None if isinstance(origin, type) else getattr(origin, "_name", None)


def is_union(annotation: Any) -> bool:
    """Return whether an annotation is ``Union[...]`` or ``X | Y``."""
    if (type(annotation).__module__, type(annotation).__name__) in _UNIONS:
        return True
    typing = sys.modules.get("typing")
    return typing is not None and getattr(annotation, "__origin__", None) is typing.Union


def is_any(annotation: Any) -> bool:
    """Return whether an annotation says nothing about the values."""
    typing = sys.modules.get("typing")
    return (
        annotation is object
        or type(annotation).__name__ == "TypeVar"
        or (typing is not None and annotation is typing.Any)
    )


def _arrays() -> Mapping[Any, type]:
    """Return ``{class of a collection: class of the values that a function receives}``."""
    import collections.abc as abstract

    known = {getattr(abstract, name): made for name, made in _ABSTRACT.items()}
    return {**known, **{base: base for base in (list, tuple, set, frozenset, dict)}}


def _array(annotation: Any, origin: Any, args: Tuple[Any, ...], names: Dict[str, Any]) -> Codec:
    made = _arrays()[origin]
    if made is tuple and args[-1:] != (Ellipsis,) and _has_arguments(annotation):
        return arrays.Tuple([make(arg, names) for arg in args if arg != ()])
    elements = [make(arg, names) for arg in args if arg is not Ellipsis] or [arrays.Data()]
    if made is dict:
        return arrays.Dict(origin, elements[0], elements[-1])
    accepted = (list, tuple) if made is list and origin is not list else origin
    is_iterator = getattr(origin, "__name__", "") == "Iterator"
    return (arrays.Iterated if is_iterator else arrays.Array)(accepted, made, elements[0])


def _has_arguments(annotation: Any) -> bool:
    """Return whether ``tuple[...]`` has arguments, possibly none: ``tuple[()]``."""
    typing = sys.modules.get("typing")
    return not isinstance(annotation, type) and (typing is None or annotation is not typing.Tuple)


def of_class(base: Any) -> Codec:
    """Return the codec of a class.

    Raises:
        TypeError: its values cannot be passed.
    """
    if base is None:
        return scalars.BUILT_IN[type(None)]
    if not isinstance(base, type):
        raise TypeError(f"Invalid type annotation {base}/{type(base)}")
    if base in scalars.BUILT_IN:
        return scalars.BUILT_IN[base]
    if callable(getattr(base, "from_str", None)):
        return scalars.custom(base)
    for test, maker in _KINDS:
        if test(base):
            return maker(base)
    raise TypeError(
        f"{base.__name__} cannot be made of text; give it a static method from_str(text), "
        "and to_str(self)"
    )


def _is_enum(base: Any) -> bool:
    return hasattr(base, "__members__") and any(b.__name__ == "Enum" for b in base.__mro__)


def _is_pydantic(base: Any) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(base, getattr(pydantic, "BaseModel", ()))


def _is_by_text(base: Any) -> bool:
    return _BY_TEXT.get(base.__module__) == base.__name__ or any(
        parent.__module__.startswith("pathlib") for parent in base.__mro__
    )


def _is_record(base: Any) -> bool:
    return isinstance(base, type) and (
        hasattr(base, "__dataclass_fields__") or hasattr(base, "_fields") or _is_pydantic(base)
    )


def _enum(base: Any) -> Codec:
    flags = any(parent.__name__ == "Flag" for parent in base.__mro__)
    return scalars.FlagCodec(base) if flags else scalars.EnumCodec(base)


def _time(base: Any) -> Codec:
    from conducto.inspection.codecs.times import Time

    return Time(base)


def _pydantic(base: Any) -> Codec:
    from conducto.inspection.codecs.records import Pydantic

    return Pydantic(base)


def _record(name: str) -> Callable[[Any], Codec]:
    def build(base: Any) -> Codec:
        from conducto.inspection.codecs import records

        codec: Codec = getattr(records, name)(base, make)
        return codec

    return build


_KINDS: Tuple[Tuple[Callable[[Any], bool], Callable[[Any], Codec]], ...] = (
    (_is_enum, _enum),
    (lambda base: base.__module__ == "datetime" and hasattr(base, "resolution"), _time),
    (_is_by_text, scalars.by_text),
    (_is_pydantic, _pydantic),
    (lambda base: hasattr(base, "__dataclass_fields__"), _record("Dataclass")),
    (lambda base: issubclass(base, tuple) and hasattr(base, "_fields"), _record("Named")),
    (lambda base: hasattr(base, "__total__") and issubclass(base, dict), _record("Typed")),
    (lambda base: base in _arrays(), lambda base: _array(base, base, (), {})),
)
