"""Event patterns, as EventBridge documents them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conducto_core.events.rules.patterns import PatternError, matches, parse_pattern

EVENT = {
    "source": "acme.shop",
    "detail-type": "Order",
    "resources": ["arn:a", "arn:b"],
    "detail": {"country": "FR", "total": 12.5, "paid": True, "note": None, "key": "in/x.csv"},
}


def detail(**fields: Any) -> dict[str, Any]:
    return {"detail": fields}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"source": ["acme.shop", "other"]}, True),
        ({"source": ["acme"]}, False),
        ({"resources": ["arn:b"]}, True),
        ({"detail-type": ["Order"], **detail(country=["DE"])}, False),
        (detail(country=[{"prefix": "F"}]), True),
        (detail(country=[{"equals-ignore-case": "fr"}]), True),
        (detail(key=[{"suffix": ".csv"}]), True),
        (detail(key=[{"wildcard": "in/*.csv"}]), True),
        (detail(key=[{"wildcard": "in/*.txt"}]), False),
        (detail(total=[{"numeric": [">", 10, "<=", 12.5]}]), True),
        (detail(total=[{"numeric": [">", 12.5]}]), False),
        (detail(country=[{"numeric": ["=", 1]}]), False),
        (detail(country=[{"anything-but": ["DE", "IT"]}]), True),
        (detail(country=[{"anything-but": "FR"}]), False),
        (detail(country=[{"anything-but": {"prefix": "F"}}]), False),
        (detail(missing=[{"anything-but": "x"}]), False),
        (detail(missing=[{"exists": False}]), True),
        (detail(country=[{"exists": False}]), False),
        (detail(note=[None], paid=[True]), True),
        (detail(paid=[1]), False),
        ({"$or": [{"source": ["no"]}, detail(paid=[True])]}, True),
        ({"nothing": {"inner": ["x"]}}, False),
    ],
)
def test_pattern_matches_as_documented(pattern: dict[str, Any], *, expected: bool) -> None:
    assert matches(parse_pattern(json.dumps(pattern)), EVENT) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "must be a JSON object"),
        ("{}", "at least one field"),
        ('{"source": "acme"}', r"\$\.source must be a list of values"),
        ('{"detail": {"a": []}}', r"\$\.detail\.a must be a list"),
        ('{"a": [{"regex": "x"}]}', "unknown filter 'regex'"),
        ('{"a": [{"prefix": 1}]}', "invalid value of 'prefix'"),
        ('{"a": [{"numeric": ["~", 1]}]}', "invalid value of 'numeric'"),
        ('{"a": [{"prefix": "x", "suffix": "y"}]}', "one filter"),
        ('{"$or": {"a": ["x"]}}', "must be a list of objects"),
        ('{"a": ["' + "x" * 2048 + '"]}', "the maximum is 2,048"),
        ("[" * 2000, "it is not JSON"),
    ],
)
def test_invalid_pattern_is_rejected_with_the_place(text: str, message: str) -> None:
    with pytest.raises(PatternError, match=message):
        parse_pattern(text)


@pytest.mark.parametrize(
    ("wanted", "value", "is_match"),
    [
        ("a*b*c", "a1b2c", True),
        ("a*b*c", "acb", False),
        ("a*a", "a", False),
        ("*", "", True),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        ("*a" * 40 + "b", "a" * 60_000, False),
    ],
)
def test_wildcards_match_in_linear_time(wanted: str, value: str, is_match: bool) -> None:
    assert matches({"key": [{"wildcard": wanted}]}, {"key": value}) is is_match
