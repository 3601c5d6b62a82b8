"""Parses each expression of DynamoDB once; moto 5.2.5 parses it up to four times for each call.

Moto parses and validates an expression when it is first used, with its names and the types of its
values. As in `conducto_emulator.moto.shim`, each ``_patch_…`` has its own test in
``tests/conformance/test_moto_table.py``.
"""

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from moto.dynamodb import comparisons, models, responses
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.parsing import ast_nodes as nodes
from moto.dynamodb.parsing.expressions import UpdateExpressionParser

#: Types whose values moto never changes in place.
_PLAIN = frozenset({"S", "N", "B", "BOOL", "NULL"})
_MAX = 2_048
_KINDS = {
    nodes.UpdateExpressionSetAction: "SET",
    nodes.UpdateExpressionAddAction: "ADD",
    nodes.UpdateExpressionRemoveAction: "REMOVE",
}

Pairs = tuple[tuple[str, str], ...]
Values = Mapping[str, Mapping[str, Any]]


def install() -> None:
    """Apply all patches in this process; `conducto_emulator.moto.table.install` calls it once."""
    _patch_conditions()
    _patch_updates()
    _patch_copies()


# ---- conditions ------------------------------------------------------------------------------

_now = threading.local()


def _patch_conditions() -> None:
    """Defect: conditions are parsed for each use."""
    comparisons.create_condition_expression_parser = _ParsedOnce
    models.create_condition_expression_parser = _ParsedOnce
    responses.create_condition_expression_parser = _ParsedOnce


class _Slot(comparisons.AttributeValue):  # type: ignore[misc]
    """The value of a placeholder, which differs between the uses of a condition."""

    def __init__(self, placeholder: str, value: Mapping[str, Any]) -> None:
        super().__init__(value)
        self._placeholder = placeholder
        del self.value

    def expr(self, item: Any) -> Any:
        value = comparisons.AttributeValue(_now.values[self._placeholder])
        return value.expr(item)


class _Parser(comparisons.ConditionExpressionParser):  # type: ignore[misc]
    def _make_operand(self, node: Any) -> Any:
        if node.kind == self.Kind.EXPRESSION_ATTRIBUTE_VALUE:
            return _Slot(node.text, node.value)
        return super()._make_operand(node)


class _Condition:
    """A parsed condition with the values of one use."""

    def __init__(self, parsed: Any, values: Values) -> None:
        self._parsed = parsed
        self._values = values

    def expr(self, item: Any) -> Any:
        _now.values = self._values
        return self._parsed.expr(item)


class _ParsedOnce:
    """Has the interface of moto's parser."""

    def __init__(
        self, expression: str | None, names: Mapping[str, str] | None, values: Values | None
    ) -> None:
        self._given = expression, names, values
        self.expr_attr_names_found: list[str] = []
        self.expr_attr_values_found: list[str] = []

    def parse(self) -> Any:
        expression, names, values = self._given
        if not expression:
            return comparisons.OpDefault(None, None)
        parsed, found, used = _parsed(expression, *_shape(names, values))
        self.expr_attr_names_found.extend(found)
        self.expr_attr_values_found.extend(used)
        return _Condition(parsed, values or {})


@lru_cache(_MAX)
def _parsed(expression: str, names: Pairs | None, types: Pairs | None) -> tuple[Any, Any, Any]:
    # Validation and parsing depend on the types of the values only.
    values = None if types is None else {name: {kind: None} for name, kind in types}
    parser = _Parser(expression, None if names is None else dict(names), values)
    return parser.parse(), tuple(parser.expr_attr_names_found), tuple(parser.expr_attr_values_found)


def _shape(
    names: Mapping[str, str] | None, values: Values | None
) -> tuple[Pairs | None, Pairs | None]:
    """Return the names of an expression, and the types of its values."""
    return (
        None if names is None else tuple(names.items()),
        None if values is None else tuple((name, next(iter(v))) for name, v in values.items()),
    )


# ---- updates ---------------------------------------------------------------------------------


class _Action(NamedTuple):
    """One action of an update: ``SET``, ``ADD`` or ``REMOVE``, an attribute, and a placeholder."""

    kind: str
    attribute: str
    placeholder: str


def _patch_updates() -> None:
    """Defect: updates are parsed, copied and traversed a dozen times for each use."""
    UpdateExpressionParser.make = staticmethod(lru_cache(_MAX)(UpdateExpressionParser.make))
    validate, execute = models.UpdateExpressionValidator, models.UpdateExpressionExecutor

    class Validator(_Validator):
        by_moto = validate

    class Executor:
        def __init__(self, validated: Any, item: Any, names: Mapping[str, str] | None) -> None:
            self._given = validated, item, names

        def execute(self) -> None:
            validated, item, _ = self._given
            if isinstance(validated, _Valid):
                validated.execute(item)
            else:
                execute(*self._given).execute()

    models.UpdateExpressionValidator = Validator
    models.UpdateExpressionExecutor = Executor


class _Valid:
    """An update that moto would accept."""

    def __init__(self, actions: Sequence[_Action], values: Values) -> None:
        self._actions = actions
        self._values = values

    def normalize(self) -> None:
        """Do nothing: the actions are in order."""

    def execute(self, item: Any) -> None:
        for kind, attribute, placeholder in self._actions:
            if kind == "REMOVE":
                item.attrs.pop(attribute, None)
                continue
            value = DynamoType(self._values[placeholder])
            if kind == "ADD":
                value = item.attrs.get(attribute, _ZERO) + value
            item.attrs[attribute] = value


_ZERO = DynamoType({"N": "0"})


class _Validator:
    """Validates an update by moto, unless it did so before with the same names and types."""

    by_moto: Callable[..., Any]
    _seen: ClassVar[set[tuple[Any, ...]]] = set()

    def __init__(
        self,
        expression: Any,
        expression_attribute_names: Mapping[str, str] | None,
        expression_attribute_values: Values | None,
        item: Any,
        table: Any,
    ) -> None:
        self._given = expression, expression_attribute_names, expression_attribute_values
        self._item = item
        self._table = table

    def validate(self) -> Any:
        expression, names, values = self._given
        shape = (expression, *_shape(names, values), _keys(self._table))
        actions = _actions(expression, shape[1] or ())
        if actions is None or not _is_simple(actions, values or {}, self._item):
            return self._by_moto()
        if shape not in self._seen:
            self._by_moto()
            self._seen.add(shape)
        return _Valid(actions, values or {})

    def _by_moto(self) -> Any:
        return type(self).by_moto(*self._given, self._item, self._table).validate()


def _keys(table: Any) -> tuple[str, ...]:
    """Return the names and types of a table's keys and those of its indexes."""
    types = [f"{each['AttributeName']} {each['AttributeType']}" for each in table.attr]
    return *table.table_key_attrs, *table.attribute_keys, *types


def _is_simple(actions: Sequence[_Action], values: Values, item: Any) -> bool:
    """Return whether an update is the same for all values of the same types."""
    for kind, attribute, placeholder in actions:
        if kind == "REMOVE":
            continue
        ((of, value),) = values.get(placeholder, {"": ""}).items()
        before = item.attrs.get(attribute)
        if of not in _PLAIN or value in ("", b""):
            return False
        if kind == "ADD" and (of != "N" or (before is not None and before.type != "N")):
            return False
    return True


@lru_cache(_MAX)
def _actions(expression: Any, pairs: Pairs) -> Sequence[_Action] | None:
    """Return the actions of an update, or None if there are others than on whole attributes."""
    names = dict(pairs)
    found: list[_Action] = []
    for each in expression.find_clauses([*_KINDS, nodes.UpdateExpressionDeleteAction]):
        path, *value = each.children
        if type(each) not in _KINDS or len(path.children) != 1:
            return None
        attribute = _name(path.children[0], names)
        placeholder = _placeholder(value)
        if attribute is None or placeholder is None:
            return None
        found.append(_Action(_KINDS[type(each)], attribute, placeholder))
    return found


def _name(node: Any, names: Mapping[str, str]) -> str | None:
    if isinstance(node, nodes.ExpressionAttributeName):
        return names.get(node.get_attribute_name_placeholder())
    return node.get_attribute_name() if isinstance(node, nodes.ExpressionAttribute) else None


def _placeholder(value: Sequence[Any]) -> str | None:
    """Return the placeholder of an action's value; "" without a value, None if it is none."""
    if not value:
        return ""
    node = value[0]
    while len(node.children) == 1 and isinstance(node, nodes.Expression):
        node = node.children[0]
    return node.get_value_name() if isinstance(node, nodes.ExpressionAttributeValue) else None


# ---- copies ----------------------------------------------------------------------------------


def _patch_copies() -> None:
    """Defect: copies of items, of which each call makes several, copy each value."""

    def copied(self: Any, memo: dict[int, Any]) -> Any:
        made = Item.__new__(Item)
        made.hash_key, made.range_key = self.hash_key, self.range_key
        made.attrs = LimitedSizeDict()  # its own setter would compute the size for each attribute
        for name, value in self.attrs.items():
            kept = value if value.type in _PLAIN else copy.deepcopy(value, memo)
            dict.__setitem__(made.attrs, name, kept)
        return made

    Item.__deepcopy__ = copied
