"""A readable digest of CloudFormation templates: the facts of a resource that a reviewer checks."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

#: Properties, at any depth, that are part of the digest; statements are rendered separately.
FACTS = {
    # retention and removal
    *("BackupPolicy", "DeletionProtectionEnabled", "ExpirationInDays", "LifecycleConfiguration"),
    *("LifecyclePolicies", "MessageRetentionPeriod", "PointInTimeRecoverySpecification", "Prune"),
    *("RetainOnDelete", "RetentionInDays", "TimeToLiveSpecification", "VersioningConfiguration"),
    # encryption
    *("BucketEncryption", "Encrypted", "EncryptionConfiguration", "EncryptionKey", "KmsKeyId"),
    *("KmsMasterKeyId", "MinimumProtocolVersion", "SSESpecification", "SqsManagedSseEnabled"),
    "ViewerProtocolPolicy",
    # access
    *("CidrIp", "CorsConfiguration", "DestinationCidrBlock", "FromPort", "IpProtocol"),
    *("ManagedPolicyArns", "MapPublicIpOnLaunch", "OwnershipControls", "PosixUser", "Principal"),
    *("PrivilegedMode", "PublicAccessBlockConfiguration", "RouteKey", "ToPort"),
    # sizes and limits
    *("Architectures", "BillingMode", "CapacityProviders", "ComputeType", "EvaluationPeriods"),
    *("MaximumEventAgeInSeconds", "MaximumRetryAttempts", "MemorySize", "Threshold", "Timeout"),
    *("QueuedTimeoutInMinutes", "RecursiveLoop", "ReservedConcurrentExecutions", "SourceArn"),
    *("ThrottlingBurstLimit", "ThrottlingRateLimit", "TimeoutInMinutes", "Tracing"),
}
_SECTIONS = ("DeletionPolicy", "UpdateReplacePolicy")
_HASH_OF_NAME = re.compile(r"(?<=[a-z])(?:[0-9A-F]{8}){1,2}(?![0-9A-Fa-f])")
_EXPORT = re.compile(r"[\w-]+:ExportsOutput(?:Ref|FnGetAtt)")


def digest(templates: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Return ``{heading of a resource: its facts, a line each}`` for ``{stack: template}``."""
    blocks: dict[str, list[str]] = {}
    for stack, template in sorted(templates.items()):
        for name, resource in sorted(template.get("Resources", {}).items()):
            heads = [f"{stack}/{each}: {resource['Type']}" for each in (_short(name), name)]
            blocks[next(head for head in heads if head not in blocks)] = list(_facts(resource))
    return blocks


def text_of(blocks: dict[str, list[str]]) -> str:
    """Return a digest as text, one paragraph per resource."""
    return "\n".join(
        "".join(f"{line}\n" for line in [head, *facts]) for head, facts in blocks.items()
    )


def difference(found: dict[str, list[str]], base: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the new resources of `found`, headings of the absent ones, and changed facts."""
    result: dict[str, list[str]] = {}
    for head in sorted({*found, *base}):
        if head not in found:
            result[f"absent: {head}"] = []
        elif head not in base:
            result[f"new: {head}"] = found[head]
        elif lines := _changed_facts(found[head], base[head]):
            result[head] = lines
    return result


def _changed_facts(found: list[str], base: list[str]) -> list[str]:
    """Return the facts that differ, marked like the lines of a diff."""
    lost, added = Counter(base) - Counter(found), Counter(found) - Counter(base)
    marked = [
        *(("-", fact) for fact in lost.elements()),
        *(("+", fact) for fact in added.elements()),
    ]
    return [f"{mark}{fact}".replace("\n", f"\n{mark}") for mark, fact in marked]


def _facts(resource: dict[str, Any]) -> Iterator[str]:
    yield from (f"  {name}: {resource[name]}" for name in _SECTIONS if name in resource)
    yield from sorted(_properties(resource.get("Properties", {})))


def _properties(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _properties(item)
    if not isinstance(value, dict):
        return
    for name, part in value.items():
        if isinstance(part, dict) and "Statement" in part:
            yield from map(_statement, part["Statement"])
        elif name in FACTS:
            yield f"  {name}: {_value(part)}"
        else:
            yield from _properties(part)


def _statement(statement: dict[str, Any]) -> str:
    """Return an IAM statement; all of its parts are kept."""
    names = ["Principal", "Action", "Resource", "Condition"]
    names += sorted({*statement} - {*names, "Effect", "Sid"})
    parts = [f"    {name}: {_value(statement[name])}" for name in names if name in statement]
    return "\n".join([f"  {statement['Effect']}", *parts])


def _value(value: object) -> str:
    if isinstance(value, str):
        return _short(value)
    if isinstance(value, list):
        return ", ".join(sorted(map(_value, value)))
    if not isinstance(value, dict):
        return json.dumps(value)
    return _intrinsic(value) or "; ".join(f"{k}={_value(v)}" for k, v in sorted(value.items()))


def _intrinsic(value: dict[str, Any]) -> str | None:
    """Return a reference or a joined text as it would be written in ``Fn::Sub``."""
    match value:
        case {"Ref": name}:
            return f"${{{_short(name)}}}"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"${{{_short(name)}.{attribute}}}"
        case {"Fn::Join": ["", parts]}:
            return "".join(map(_value, parts))
        case {"Fn::Sub": str(text)}:
            return text
        case {"Fn::ImportValue": str(text)}:
            return f"${{{_short(_EXPORT.sub('', text))}}}"
    return None


def _short(name: str) -> str:
    """Return a logical name without the hash that CDK appends."""
    return _HASH_OF_NAME.sub("", name)
