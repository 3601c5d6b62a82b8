"""Codecs of classes with named fields: dataclasses, NamedTuples, TypedDicts, pydantic models."""

# ruff: noqa: D102, PLC0415, SLF001
# The base class documents the methods; imports wait; dataclasses have no public way to a
# field of an InitVar.

from __future__ import annotations

import sys

from conducto.inspection.codecs.base import Codec, CodecError, at, dumps, mismatch, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Mapping

    from conducto.inspection.codecs.base import Codec as FieldCodec


class Record(Codec):
    """A class with named fields, as a JSON object.

    The codecs of its fields are made when they are needed, because a field may have the class
    itself as its type.

    Args:
        base: The class.
        make: Returns the codec of an annotation, with the names that its text may use.
    """

    def __init__(self, base: Any, make: Callable[[Any, Dict[str, Any]], Codec]) -> None:
        self.base = base
        self._make = make
        self.help = f"JSON {base.__name__}"
        self.expected = f"a {base.__name__}"
        self._known: Dict[str, FieldCodec] = {}

    def _annotations(self) -> Mapping[str, Any]:
        """Return ``{field: annotation}``; an annotation may be None for any value."""
        raise NotImplementedError

    def _required(self) -> Any:
        """Return the names of the fields that JSON must have."""
        raise NotImplementedError

    def _values(self, value: Any) -> Mapping[str, Any]:
        return {name: getattr(value, name) for name in self._annotations()}

    def details(self) -> str:
        fields = ", ".join(f"{name}: {codec.help}" for name, codec in self._fields().items())
        return f"{{{fields}}}"

    def _accepts(self, value: Any) -> bool:
        return type(value) is self.base

    def _fields(self) -> Dict[str, FieldCodec]:
        if not self._known:
            for name, annotation in self._annotations().items():
                self._known[name] = self._make(annotation, _names_of(self.base, name))
        return self._known

    def to_json(self, value: Any) -> Any:
        if not self._accepts(value):
            raise mismatch(self.expected, value)
        fields = self._fields()
        return {
            name: at(f"{self.base.__name__}.{name}", fields[name].to_json, item)
            for name, item in self._values(value).items()
        }

    def from_json(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise mismatch(self.expected, data)
        fields, name = self._fields(), self.base.__name__
        self._check_names(data)
        values = {key: at(f"{name}.{key}", fields[key].from_json, data[key]) for key in data}
        try:
            return self.base(**values)
        except (TypeError, ValueError) as error:  # of the class's own checks
            raise CodecError(f"{name}: {error}") from None

    def _check_names(self, data: Mapping[str, Any]) -> None:
        known = ", ".join(self._fields())
        for key in data:
            if key not in self._fields():
                raise CodecError(f"{self.base.__name__} has no field {shown(key)}, only {known}")
        for key in self._required():
            if key not in data:
                raise CodecError(f"{self.base.__name__} needs the field {key!r}")


class Dataclass(Record):
    """A dataclass. Fields that its constructor does not take must follow from the others."""

    def __init__(self, base: Any, make: Callable[[Any, Dict[str, Any]], Codec]) -> None:
        super().__init__(base, make)
        fields = base.__dataclass_fields__.values()
        extra = [f.name for f in fields if getattr(f._field_type, "name", "") == "_FIELD_INITVAR"]
        if extra:
            raise TypeError(f"{base.__name__}.{extra[0]} is an InitVar, which is not kept")

    def _all(self) -> Any:
        import dataclasses

        return dataclasses.fields(self.base)

    def _annotations(self) -> Mapping[str, Any]:
        return {field.name: field.type for field in self._all() if field.init}

    def _required(self) -> Any:
        import dataclasses

        none = dataclasses.MISSING
        return [
            field.name
            for field in self._all()
            if field.init and field.default is none and field.default_factory is none
        ]

    def to_json(self, value: Any) -> Any:
        data = super().to_json(value)
        derived = [field.name for field in self._all() if not field.init]
        if derived:
            copy = self.from_json(data)
            for name in derived:
                if getattr(copy, name, None) != getattr(value, name, None):
                    raise CodecError(
                        f"{self.base.__name__}.{name} would be lost: it has init=False"
                    )
        return data


class Named(Record):
    """A NamedTuple, or a namedtuple without types."""

    def _annotations(self) -> Mapping[str, Any]:
        types = getattr(self.base, "__annotations__", {})
        return {name: types.get(name) for name in self.base._fields}

    def _required(self) -> Any:
        return [name for name in self.base._fields if name not in self.base._field_defaults]


class Typed(Record):
    """A TypedDict."""

    def _annotations(self) -> Mapping[str, Any]:
        found: Dict[str, Any] = {}
        for parent in reversed(self.base.__mro__):
            found.update(getattr(parent, "__annotations__", {}))
        return found

    def _required(self) -> Any:
        every = self._annotations() if self.base.__total__ else ()
        return getattr(self.base, "__required_keys__", every)

    def _accepts(self, value: Any) -> bool:
        return type(value) is dict

    def _values(self, value: Any) -> Mapping[str, Any]:
        self._check_names(value)
        return dict(value)


class Pydantic(Codec):
    """A pydantic model, which writes and checks its own JSON."""

    def __init__(self, base: Any) -> None:
        self.base = base
        self.help = f"JSON {base.__name__}"
        self.expected = f"a {base.__name__}"
        self._newer = hasattr(base, "model_validate_json")

    def to_json(self, value: Any) -> Any:
        import json

        if type(value) is not self.base:
            raise mismatch(self.expected, value)
        try:
            text = self._dump(value)
        except Exception as error:  # noqa: BLE001 (pydantic's, and those of its user's code)
            raise CodecError(f"{self.base.__name__} has no JSON: {error}") from None
        data = json.loads(text)
        if self.from_json(data) != value:
            raise CodecError(
                f"{self.base.__name__} is not equal after its own JSON, "
                "for instance because of a secret or an excluded field"
            )
        return data

    def _dump(self, value: Any) -> str:
        if self._newer:
            return str(value.model_dump_json(by_alias=True, round_trip=True))
        return str(value.json(by_alias=True))

    def from_json(self, data: Any) -> Any:
        try:
            if self._newer:
                return self.base.model_validate_json(dumps(data))
            return self.base.parse_obj(data)
        except ValueError as error:
            raise CodecError(f"{self.base.__name__}: {_first(error)}") from None


def _first(error: Any) -> str:
    """Return the first problem of a pydantic error, in one line."""
    problems = error.errors()
    place = ".".join(str(part) for part in problems[0]["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{place}: {problems[0]['msg']}{more}"


def _names_of(base: Any, field: str) -> Dict[str, Any]:
    """Return the names that the string annotation of a field may use."""
    for parent in base.__mro__:
        if field in vars(parent).get("__annotations__", {}):
            base = parent
            break
    names = dict(vars(sys.modules[base.__module__])) if base.__module__ in sys.modules else {}
    return {**names, base.__name__: base}
