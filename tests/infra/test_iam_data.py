"""Every policy conforms to AWS's own list of actions, resources and condition keys."""

from __future__ import annotations

from typing import Any

import pytest

from support.iam_data import all_statements, overlap, problems

TASK = "arn:aws:ecs:us-east-1:123456789012:task/conducto-main/*"
CLUSTER = "arn:aws:ecs:us-east-1:123456789012:cluster/x"


def test_policies_agree_with_awss_lists(installation: dict[str, dict[str, Any]]) -> None:
    found = [
        f"{name}: {problem}"
        for name, statement, resources in all_statements(installation)
        for problem in problems(statement, resources)
    ]

    assert found == []


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ({"Action": "ecs:StopTask", "Resource": TASK}, []),
        ({"Action": "ecs:StopTasks", "Resource": TASK}, ["ecs:StopTasks: AWS has no such action"]),
        (
            {"Action": ["ecs:StopTask", "ecs:RunTask"], "Resource": TASK},
            [f"ecs:RunTask: applies to none of ['{TASK}']"],
        ),
        (
            {"Action": "ecs:StopTask", "Resource": [TASK, CLUSTER]},
            [f"{CLUSTER}: none of ['ecs:StopTask'] applies to it"],
        ),
        (
            {
                "Action": "ecs:StopTask",
                "Resource": TASK,
                "Condition": {
                    "ArnEquals": {"ecs:cluster": "x"},
                    "StringEquals": {"aws:ResourceTag/a:b": "x", "ecs:container-name": "x"},
                },
            },
            ["ecs:StopTask: condition key ecs:container-name does not apply"],
        ),
    ],
)
def test_a_wrong_statement_is_found(statement: dict[str, Any], expected: list[str]) -> None:
    resources = statement["Resource"]

    found = list(problems(statement, resources if isinstance(resources, list) else [resources]))

    assert found == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a:*", "*:b", True),
        ("log-group:/aws/x:*", "log-group:*:log-stream:*", True),
        ("task/*", "task-definition/*:*", False),
        ("a", "a*", True),
        ("a", "b*", False),
    ],
)
def test_patterns_overlap_where_one_text_matches_both(one: str, other: str, expected: bool) -> None:
    assert overlap(one, other) is expected
