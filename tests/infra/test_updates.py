"""CloudFormation's rules about order: what an update of a deployed installation must not do."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from conducto_core.installation.names import FIXED_SETTINGS, SETTINGS, STACKS
from support.installation import EXISTING, VARIANTS, settings_templates, templates

Templates = dict[str, dict[str, Any]]
#: One value, unlike the default, for each setting that may change; some are set together.
CHANGES: tuple[dict[str, Any], ...] = (
    {"remote_debug": False, "secret_stores": "aws-sm:prod/"},
    {"spot_share": 5, "warm_workers": 2, "warm_minutes": 5},
    {"slack_url": "https://slack.example.org", "github_url": "https://github.example.org"},
    {"mount_policy": False, "arm": True},
    {"agent_build": "codebuild", "soci": True},
    *(
        {name: VARIANTS["everything set"][name] for name in names}
        for names in (
            ("alarm_email",),
            ("billing",),
            ("domain", "certificate"),
            ("identity", "identity_providers", "ses_identity"),
            ("log_days", "ci_issuer", "log_bucket", "buckets"),
            ("monthly_budget",),
            ("pull_through",),
            ("smtp_url", "email_from"),
            ("task_roles",),
            ("tracing", "events", "queues", "otlp_endpoint", "otlp_headers_secret"),
        )
    ),
)
#: Each row is a set of changes. Any two changes are on, off, and on without the other in some row.
ROWS = 7


def _rows() -> Iterator[dict[str, Any]]:
    chosen = list(zip(CHANGES, itertools.combinations(range(1, ROWS), 4), strict=False))
    assert len(chosen) == len(CHANGES)
    for row in range(ROWS):
        yield {
            name: value for change, rows in chosen if row in rows for name, value in change.items()
        }


def test_each_setting_that_may_change_is_tried() -> None:
    tried = {name for change in CHANGES for name in change}

    assert tried == set(SETTINGS) - set(FIXED_SETTINGS) - {"public_ip", "machines"}


def test_public_addresses_can_be_switched_on_and_off() -> None:
    private, public = {**EXISTING, "public_ip": False}, EXISTING
    known = [settings_templates(private), settings_templates(public)]

    for before, after in (known, known[::-1]):
        assert list(_broken_imports(before, after)) == []
        # A subnet has one mount target: one with another name cannot be made beside it.
        assert before["data"]["Resources"].keys() == after["data"]["Resources"].keys()


def test_machine_classes_can_be_added_and_removed() -> None:
    plain = {**EXISTING, "public_ip": False}
    known = [settings_templates({**plain, **more}) for more in ({}, {"machines": "big=m7i.large"})]

    for before, after in (known, known[::-1]):
        assert list(_broken_imports(before, after)) == []


@pytest.mark.timeout(900)
def test_no_update_removes_an_export_that_is_imported() -> None:
    known = {json.dumps(row): settings_templates(row) for row in _rows()}

    broken = {
        f"{before} -> {after}": problems
        for before, after in itertools.permutations(known, 2)
        if (problems := list(_broken_imports(known[before], known[after])))
    }

    assert broken == {}


def test_a_planted_lost_export_is_found() -> None:
    before = templates("default")
    outputs = {
        name: output
        for name, output in before["network"]["Outputs"].items()
        if "Export" not in output
    }
    after = {**before, "network": {**before["network"], "Outputs": outputs}}

    assert list(_broken_imports(before, after))


def _broken_imports(before: Templates, after: Templates) -> Iterator[str]:
    """Yield each export that is imported when an update, stack by stack, removes or changes it."""
    deployed = dict(before)
    for name in STACKS:
        old, new = _exports(deployed[name]), _exports(after[name])
        deployed[name] = after[name]
        imported = {each for template in deployed.values() for each in _imports(template)}
        for export in sorted(imported & set(old)):
            if new.get(export) != old[export]:
                yield f"{name}: {export}"


def _exports(template: dict[str, Any]) -> dict[str, str]:
    return {
        output["Export"]["Name"]: json.dumps(output["Value"])
        for output in template.get("Outputs", {}).values()
        if "Export" in output
    }


def _imports(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("Fn::ImportValue"), str):
            yield node["Fn::ImportValue"]
        for child in node.values():
            yield from _imports(child)
    elif isinstance(node, list):
        for child in node:
            yield from _imports(child)


def test_a_function_is_made_after_all_policies_of_its_role(installation: Templates) -> None:
    early = {
        f"{stack}/{name}": sorted(missing)
        for stack, template in installation.items()
        for name, resource in template.get("Resources", {}).items()
        if resource["Type"] in ("AWS::Serverless::Function", "AWS::Lambda::Function")
        if (missing := _policies(template, resource) - set(_needs(resource)))
    }

    assert early == {}


def _policies(template: dict[str, Any], function: dict[str, Any]) -> set[str]:
    """Return the policies, apart from the role itself, that belong to a function's role."""
    role = function["Properties"]["Role"]["Fn::GetAtt"][0]
    return {
        name
        for name, resource in template["Resources"].items()
        if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        and {"Ref": role} in resource["Properties"].get("Roles", ())
    }


def _needs(resource: dict[str, Any]) -> list[str]:
    found = resource.get("DependsOn", [])
    return [found] if isinstance(found, str) else list(found)
