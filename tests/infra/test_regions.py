"""The templates of every region contain only types of resources that exist there."""

from __future__ import annotations

from typing import Any

import pytest
from cfnlint.helpers import REGIONS
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from conducto_core.installation.rules import (
    WITHOUT_BUDGETS,
    WITHOUT_BUILDS,
    WITHOUT_S3_FILES,
    WITHOUT_SITE,
    limitations,
)
from support.installation import VARIANTS, settings_templates

#: Commercial regions and GovCloud; the others are partitions of their own.
SUPPORTED = tuple(
    name for name in REGIONS if not name.startswith(("cn-", "us-iso", "eu-isoe", "eusc-"))
)
#: Types that SAM's transform creates from its own.
SAM = {
    "AWS::Serverless::Function": {
        "AWS::Lambda::Function",
        "AWS::Lambda::Permission",
        "AWS::Events::Rule",
    },
    "AWS::Serverless::Api": {
        "AWS::ApiGateway::RestApi",
        "AWS::ApiGateway::Deployment",
        "AWS::ApiGateway::Stage",
        "AWS::Lambda::Permission",
    },
}
#: ``{setting: the one that it requires}``.
REQUIRES = {"certificate": "domain", "identity_providers": "identity", "ses_identity": "identity"}
OTHERS = ("default", "existing network", "everything set")
#: Types that CDK adds, and custom resources, which are functions.
NOT_OF_A_REGION = ("AWS::CDK::Metadata", "Custom::")


def _lacks(region: str) -> tuple[bool, ...]:
    lacking = (WITHOUT_BUDGETS, WITHOUT_BUILDS, WITHOUT_SITE, WITHOUT_S3_FILES)
    return tuple(region in regions for regions in lacking)


#: A region for each combination of what regions lack: others have the same templates.
KINDS = {_lacks(region): region for region in reversed(SUPPORTED)}


def _settings(variant: str, region: str) -> dict[str, Any]:
    """Return the settings of a variant, without those that are refused in a region."""
    settings = {**VARIANTS[variant], "region": region}
    if "queues" in settings:  # Lambda reads queues of its region only
        settings["queues"] = settings["queues"].replace("us-east-1", region)
    named = {name: str(value) for name, value in settings.items()}
    stage = named.get("stage", "main")
    refused = {each.name for each in limitations(region, stage, named) if each.is_refused}
    return {
        name: value
        for name, value in settings.items()
        if name not in refused and REQUIRES.get(name) not in refused
    }


def _types(template: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    for resource in template.get("Resources", {}).values():
        found |= SAM.get(resource["Type"], {resource["Type"]})
    return {kind for kind in found if not kind.startswith(NOT_OF_A_REGION)}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("variant", OTHERS)
def test_types_of_resources_exist_in_every_region(variant: str) -> None:
    assert len(SUPPORTED) >= 36
    of_kind = {
        kind: settings_templates(_settings(variant, region)) for kind, region in KINDS.items()
    }

    missing = {
        f"{region} {stack}": sorted(absent)
        for region in SUPPORTED
        for stack, template in of_kind[_lacks(region)].items()
        if (absent := _types(template) - set(PROVIDER_SCHEMA_MANAGER.get_resource_types(region)))
    }

    assert missing == {}


def test_no_region_is_denied_a_part_that_it_has() -> None:
    for kind, lacking in (
        ("AWS::Budgets::Budget", WITHOUT_BUDGETS),
        ("AWS::CodeBuild::Project", WITHOUT_BUILDS),
        ("AWS::CloudFront::Distribution", WITHOUT_SITE),
        ("AWS::S3Files::FileSystem", WITHOUT_S3_FILES),
    ):
        assert lacking == {
            region
            for region in SUPPORTED
            if kind not in PROVIDER_SCHEMA_MANAGER.get_resource_types(region)
        }


def test_no_template_asks_aws_for_its_zones(installation: dict[str, dict[str, Any]]) -> None:
    assert "Fn::GetAZs" not in str(installation)
