"""Findings of AWS's own rules in the templates: only justified ones."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.installation import VARIANTS, write_templates

#: ``(finding of cdk-nag, why it stays)``: each pattern is for a whole ``rule[detail] construct``.
ARGUED = (
    (
        r"AwsSolutions-VPC7 .*/network/Vpc/Resource",
        (
            "a flow log costs by the gigabyte, and workers take no connections; turn it on in the "
            "account where rules ask for it"
        ),
    ),
    (
        r"AwsSolutions-S1 .*/data/Bucket/Resource",
        (
            "access logs would need a second bucket; every access comes from our functions, "
            "which log, or by an address that one of them signed"
        ),
    ),
    (
        r"AwsSolutions-ECS4 .*/compute/Cluster",
        "Container Insights is paid for by the metric; the state of workers is in our own records",
    ),
    (
        r"AwsSolutions-CB4 .*/compute/Builder/Resource",
        "a build's only product goes to the registry, which encrypts by itself",
    ),
    (
        r"AwsSolutions-APIG4 .*/App/ChaliceApp/Websocket\w+Route",
        (
            "the function that takes a connection checks its token, which travels in a header that "
            "authorizers of WebSocket APIs cannot read"
        ),
    ),
    (
        r"AwsSolutions-APIG1 .*/App/ChaliceApp/WebsocketAPIStage",
        "access logs of API Gateway need a role for the whole account, which is not ours to set",
    ),
    (
        r"AwsSolutions-IAM5\[Resource::\*\] .*",
        "actions without a resource level; `test_policies.py` argues each of them",
    ),
    (
        r"AwsSolutions-IAM5\[Resource::arn:<AWS::Partition>:states:.*conducto-[a-z]+_.*\] .*",
        (
            "activities, state machines and executions are made while pipelines run; all are "
            "called conducto-STAGE_…"
        ),
    ),
    (
        r"AwsSolutions-IAM5\[Resource::.*:task(-definition/conducto-[a-z]+_|/conducto-).*\] .*",
        "workers and their definitions are made while pipelines run; all bear the stage",
    ),
    (
        r"AwsSolutions-IAM5\[Resource::.*:access-point/\*\] .*",
        "nobody knows the ids of access points beforehand; the condition or the action bounds it",
    ),
    (
        (
            r"AwsSolutions-IAM5\[Resource::.*/"
            r"(contexts|trees|tests|partitions|logs|state|builds|uploads)/\*\] .*"
        ),
        "objects below one beginning of a key in our own bucket",
    ),
    (
        r"AwsSolutions-IAM5\[Resource::.*:repository/conducto-.*/images/\*\] .*",
        "repositories are made when an organisation's first image is; all are below one name",
    ),
    (r"AwsSolutions-IAM5\[Resource::.*/index/\*\] .*", "the indexes of our own table"),
    (r"AwsSolutions-IAM5\[Resource::.*:secret:conducto/.*/\*\] .*", "secrets of this installation"),
    (
        r"AwsSolutions-IAM5\[Resource::.*:log-group:/aws/lambda/conducto-.*:\*\] .*",
        "streams of the function's own log group",
    ),
    (
        r"AwsSolutions-IAM5\[Resource::.*:log-group:/aws/codebuild/.*:\*\] .*",
        "the project's own log group, as CDK grants it",
    ),
    (
        r"AwsSolutions-CFR1 .*",
        "pipelines are looked at from anywhere; who may is a matter of tokens",
    ),
    (
        r"AwsSolutions-CFR2 .*",
        (
            "a firewall costs $5 a month and more while nobody comes; the pages are public, and "
            "the API behind them checks each request"
        ),
    ),
    (
        r"AwsSolutions-CFR3 .*",
        "access logs would need a bucket; what matters goes to the API, which logs",
    ),
    (
        r"AwsSolutions-CFR4 .*",
        "CloudFront lets choose with one's own certificate only (`domain`): then it is TLS 1.2",
    ),
    (
        r"AwsSolutions-S1 .*/site/Site/Resource",
        "only CloudFront reads it, and it holds what every release holds",
    ),
    (
        r"AwsSolutions-(IAM4|IAM5|L1)\S* .*/site/Custom::CDKBucketDeployment.*",
        (
            "CDK's own function, which copies the web app into its bucket while deploying; what it "
            "may do is bounded to that bucket and to CDK's"
        ),
    ),
    (
        r"AwsSolutions-SQS3 .*/watch/Lost/Resource",
        "it is the queue for what others could not take in; nothing takes from it by itself",
    ),
    (
        r"AwsSolutions-IAM5\[Resource::.*@connections/\*\] .*",
        "connections of our own WebSocket API",
    ),
)


#: The variants between these two differ in values only; CI leaves them out.
EXTREMES = ("default", "everything set")


@pytest.mark.parametrize(
    "variant",
    [one if one in EXTREMES else pytest.param(one, marks=pytest.mark.long) for one in VARIANTS],
)
def test_cfn_lint_finds_nothing(variant: str, tmp_path: Path) -> None:
    write_templates(variant, tmp_path)
    found = subprocess.run(
        [
            str(Path(sys.executable).with_name("cfn-lint")),
            "--ignore-checks=W3010",  # a zone can be chosen by its name
            "--",
            *map(str, tmp_path.glob("*.template.json")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.stdout + found.stderr == ""


def test_cdk_nag_reports_only_justified_findings(tmp_path: Path) -> None:
    findings = _findings(tmp_path)
    unargued = [f for f in findings if not any(re.fullmatch(p, f) for p, _ in ARGUED)]
    unused = [p for p, _ in ARGUED if not any(re.fullmatch(p, f) for f in findings)]

    assert findings
    assert unargued == []
    assert unused == []


def _findings(folder: Path) -> list[str]:
    # In a process of its own: with findings, CDK ends by an exception after its report.
    code = (
        "import sys, aws_cdk as cdk\n"
        "from cdk_nag import AwsSolutionsChecks\n"
        "from infra.installation import Installation\n"
        "from infra.settings import settings_from\n"
        "app = cdk.App(outdir=sys.argv[1])\n"
        "Installation(app, settings_from({'zone': 'us-east-1a'}.get))\n"
        "cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))\n"
        "app.synth()\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([".", "sdk", "core", "worker"])}
    run = [sys.executable, "-c", code, str(folder)]
    subprocess.run(run, env=env, capture_output=True, check=False)
    report = json.loads((folder / "validation-report.json").read_text())
    return sorted(_of_report(report))


def _of_report(report: dict[str, Any]) -> set[str]:
    return {
        f"{violation['ruleName']} {construct['constructPath'].replace('conducto-main-', '/', 1)}"
        for plugin in report["pluginReports"]
        for violation in plugin.get("violations", ())
        for construct in violation["violatingConstructs"]
    }
