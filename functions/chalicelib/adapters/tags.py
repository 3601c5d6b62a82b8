"""Tags of what costs money, so that AWS's cost reports can tell installations and users apart.

An administrator activates them once as cost-allocation tags in AWS Billing.
"""

import re
from dataclasses import dataclass

from conducto_core.model.deployment import ORG_TAG, PIPELINE_TAG, STAGE_TAG

#: What a value of a tag may not have (AWS Resource Groups Tagging API).
_FORBIDDEN = re.compile(r"[^\w .:/=+@-]")
_MAX_VALUE = 256


@dataclass(frozen=True, slots=True)
class Tags:
    """Tags of an installation.

    Attributes:
        stage: Its name.
    """

    stage: str

    def of(self, org: str = "", pipeline_id: str = "") -> list[tuple[str, str]]:
        """Return ``(key, value)`` of what belongs to an organisation, and perhaps a pipeline."""
        known = {STAGE_TAG: self.stage, ORG_TAG: org, PIPELINE_TAG: pipeline_id}
        return [
            (key, _FORBIDDEN.sub("_", value)[:_MAX_VALUE]) for key, value in known.items() if value
        ]


def lower(tags: list[tuple[str, str]]) -> list[dict[str, str]]:
    """Return tags as ECS and Step Functions take them."""
    return [{"key": key, "value": value} for key, value in tags]


def upper(tags: list[tuple[str, str]]) -> list[dict[str, str]]:
    """Return tags as ECR, EFS and Secrets Manager take them."""
    return [{"Key": key, "Value": value} for key, value in tags]
