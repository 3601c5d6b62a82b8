"""Templates of the stacks; CDK is slow to start, so each installation is made once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from conducto_emulator.resources import STAGE

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "18,20")

EXISTING = {
    "vpc_id": "vpc-0a1b2c3d4e5f60718",
    "vpc_subnets": "subnet-0a1b2c3d4e5f60718,subnet-0a1b2c3d4e5f60719",
    "vpc_zones": "us-east-1a,us-east-1b",
}
#: The zone that `conducto deploy` would choose.
ZONE = {"zone": "us-east-1a"}
#: Actions that Lambda itself needs for a function in a network.
IN_A_NETWORK = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)
#: Buckets that `tests/system/cloud/test_buckets.py` registers.
EMULATED_BUCKETS = "acme=s3://acme-data/raw,acme=s3://acme-out:rw"
#: Prefix of the ARNs of an administrator's own roles.
ROLES = "arn:aws:iam::123456789012:role/"
VARIANTS: dict[str, dict[str, Any]] = {
    "default": ZONE,
    "two zones": {"zones": 2, "zone": "us-east-1b,us-east-1c", "stage": "prod", "spot_share": 5},
    "existing network": {
        "stage": "ours",
        "public_ip": False,
        "machines": "gpu=g6.xlarge,g5.xlarge:spot,ondemand; big-arm=r7g.16xlarge@3.5",
        "secret_stores": "aws-sm:prod/,ssm:/teams/{org}/",
        "arm": True,
        **EXISTING,
    },
    "data in s3": {**ZONE, "stage": "objects", "data": "s3", "task_roles": f"main={ROLES}reports"},
    "everything set": {
        **ZONE,
        "stage": "full",
        "domain": "pipelines.example.org",
        "certificate": "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d",
        "tracing": True,
        "events": True,
        "queues": "main=arn:aws:sqs:us-east-1:123456789012:orders",
        "remote_debug": False,
        "billing": True,
        "log_bucket": "acme-logs",
        "buckets": "main=s3://acme/raw,main=s3://acme-out:rw,team=s3://acme/raw",
        "log_days": 7,
        "alarm_email": "ops@example.org",
        "ses_identity": "mail.example.org",
        "monthly_budget": 80,
        "task_roles": f"main={ROLES}team/reports,"
        f"main/github.com/acme/reports:nightly.py={ROLES}nightly",
        "pull_through": "docker.io=arn:aws:secretsmanager:us-east-1:123456789012:secret:"
        "ecr-pullthroughcache/hub-0a1b2c,quay.io",
        "identity": "cognito",
        "identity_providers": "Google,Okta",
        "ci_issuer": "https://github.example.org/_services/token",
        "otlp_endpoint": "https://otlp.example.org",
        "otlp_headers_secret": "observability/otlp",
        "smtp_url": "smtps://ci@mail.example.org",
        "email_from": "ci@example.org",
    },
}


@cache
def templates(variant: str) -> dict[str, dict[str, Any]]:
    """Return ``{stack, without the prefix: its template}``."""
    return _synthesised(VARIANTS[variant])


def settings_templates(settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the templates of the default installation with some settings."""
    zone = {} if "vpc_id" in settings else ZONE
    return _with_settings(json.dumps({**zone, **settings}, sort_keys=True))


@cache
def _with_settings(settings: str) -> dict[str, dict[str, Any]]:
    return _synthesised(json.loads(settings))


@cache
def templates_of_emulator() -> dict[str, dict[str, Any]]:
    """Return the templates of the installation that the emulator implements."""
    return _synthesised({"stage": STAGE, "events": True, "buckets": EMULATED_BUCKETS, **ZONE})


def _synthesised(context: dict[str, Any]) -> dict[str, dict[str, Any]]:
    import aws_cdk as cdk
    from infra.installation import Installation
    from infra.settings import settings_from

    settings = settings_from(context.get)
    with TemporaryDirectory() as folder, _same_environment():
        app = cdk.App(outdir=folder)  # the assets of one variant are 28 MB
        Installation(app, settings)
        stacks = app.synth().stacks
        return {s.stack_name.removeprefix(settings.prefix + "-"): s.template for s in stacks}


@contextmanager
def _same_environment() -> Iterator[None]:
    """Chalice sets the variables of the functions in this process, and leaves them there."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def resources(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    found = template.get("Resources", {}).values()
    return [resource for resource in found if resource["Type"] == kind]


def write_templates(variant: str, folder: Path) -> None:
    for name, template in templates(variant).items():
        (folder / f"{name}.template.json").write_text(json.dumps(template))


def statements(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``(resource, statement)`` of what identities may do."""
    for name, resource in template.get("Resources", {}).items():
        properties = resource.get("Properties", {})
        if "IAM" not in resource["Type"]:  # others have policies of another kind
            continue
        documents = [properties.get("PolicyDocument")]
        documents += [policy["PolicyDocument"] for policy in properties.get("Policies", ())]
        for document in documents:
            if document is not None:
                for statement in document["Statement"]:
                    yield name, statement
