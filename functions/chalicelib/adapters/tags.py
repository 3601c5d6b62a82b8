"""Tags of billable resources, with which AWS cost reports distinguish installations and users.

An administrator activates them once as cost-allocation tags in AWS Billing.
"""

import re
from dataclasses import dataclass

from conducto_core.model.deployment import ORG_TAG, PIPELINE_TAG, STAGE_TAG

#: Characters that a tag value must not contain (AWS Resource Groups Tagging API).
_FORBIDDEN = re.compile(r"[^\w .:/=+@-]")
_MAX_VALUE = 256


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of an installation."""

    stage: str

    def of(self, org: str = "", pipeline_id: str = "") -> list[tuple[str, str]]:
        """Return ``(key, value)`` pairs for a resource of an organisation or a pipeline."""
        known = {STAGE_TAG: self.stage, ORG_TAG: org, PIPELINE_TAG: pipeline_id}
        return [
            (key, _FORBIDDEN.sub("_", value)[:_MAX_VALUE]) for key, value in known.items() if value
        ]


def lower(tags: list[tuple[str, str]]) -> list[dict[str, str]]:
    """Return tags in the format of ECS and Step Functions."""
    return [{"key": key, "value": value} for key, value in tags]


def upper(tags: list[tuple[str, str]]) -> list[dict[str, str]]:
    """Return tags in the format of ECR, EFS and Secrets Manager."""
    return [{"Key": key, "Value": value} for key, value in tags]
