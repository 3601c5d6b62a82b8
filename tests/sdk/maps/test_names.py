"""Names of the items of a map."""

from typing import Any

import pytest

from conducto.wire.item_names import NameTemplate


def names(template: str, *items: Any) -> list[str]:
    return list(NameTemplate(template).names_of(items))


@pytest.mark.parametrize(
    ("template", "item", "name"),
    [
        ("{item}", "DE", "DE"),
        ("{item}", 1.5, "1.5"),
        ("{item}", {"a": [True, None, "é"]}, '{"a": [true, null, "é"]}'),
        ("{item.country}", {"country": "DE"}, "DE"),
        ("{item.a.b[1]}", {"a": {"b": [1, 2]}}, "2"),
        ("{item[0]}-{index}", ["x"], "x-0"),
        ("{item.path}", {"path": "a/b"}, "a\u2215b"),
        ("year {item}", 2026, "year 2026"),
    ],
)
def test_name_is_made_of_the_item(template: str, item: Any, name: str) -> None:
    assert names(template, item) == [name]


@pytest.mark.parametrize(
    "field", ["item!r", "item.f()", "open", "item:>9", "", "item.1", "item['a']", "index.x."]
)
def test_template_has_only_fields_and_indices(field: str) -> None:
    with pytest.raises(ValueError, match="is not item, a field or an index of it"):
        NameTemplate(f"{{{field}}}")


@pytest.mark.parametrize(
    ("template", "item"),
    [
        ("{item.x}", {"y": 1}),
        ("{item.x}", "text"),
        ("{item.__class__}", 1),
        ("{item[2]}", [1]),
        ("{item[0]}", {"a": 1}),
        ("{index[0]}", 1),
    ],
)
def test_item_without_the_field_is_named_by_its_number(template: str, item: Any) -> None:
    with pytest.raises(ValueError, match=r"^item 0 has no (item|index)"):
        names(template, item)


def test_equal_names_name_both_items() -> None:
    with pytest.raises(ValueError, match=r"^items 1 and 2 both have the name 'b' by"):
        names("{item}", "a", "b", "b")


@pytest.mark.parametrize(
    ("item", "reason"),
    [("", "invalid name ''"), ("a\0", "invalid name"), ("x" * 2000, "is 2000 bytes long")],
)
def test_invalid_name_is_rejected_with_the_number_of_the_item(item: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"^item 1: .*{reason}"):
        names("{item}", "good", item)
