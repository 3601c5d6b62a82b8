"""Each shim makes up for something that the installed ministack lacks; remove one that does not."""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from typing import TYPE_CHECKING

import pytest

from system.deploy import programs

if TYPE_CHECKING:
    from pathlib import Path

NAMES = (
    "s3-hosts",
    "ecr-missing-image",
    "service-quotas",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::ApiGatewayV2::Deployment",
    "AWS::Budgets::Budget",
    "AWS::ECR::PullThroughCacheRule",
    "AWS::ECR::RepositoryCreationTemplate",
    "alarms-on-expressions",
    "layers",
    "function-file-systems",
    "reserved-concurrency",
    "output-of-programs",
    "task-settings",
    "task-volumes",
    "task-names",
    "task-roles",
    "task-end",
    "task-events",
    "builds",
    "origins",
    "sockets-of-distributions",
    "subprotocols",
    "principal-arn",
    "enforcement",
)


@cache
def needed(folder: Path) -> dict[str, bool]:
    """Return, of each shim, whether the installed ministack needs it."""
    done = subprocess.run(
        [programs.ministack_python(folder), "-m", "system.deploy.shims"],
        env={**os.environ, **programs.MINISTACK_ENVIRONMENT, "PYTHONPATH": "tests"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, bool] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", NAMES)
def test_ministack_still_needs_the_shim(folder: Path, name: str) -> None:
    assert needed(folder)[name], f"ministack does this itself now: remove the shim {name!r}"


def test_every_shim_is_tested(folder: Path) -> None:
    assert sorted(needed(folder)) == sorted(NAMES)
