"""CloudFormation: types of resources that ministack does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services.cloudformation import provisioners

from system.deploy.shims import Shim

HANDLERS: dict[str, dict[str, Any]] = provisioners._RESOURCE_HANDLERS
_ALARM = "AWS::CloudWatch::Alarm"


def _named(kind: str) -> Callable[[], None]:
    def apply() -> None:
        HANDLERS[kind] = {
            "create": lambda logical, properties, stack: (
                f"{stack}-{logical}",
                {"DeploymentId": logical},
            ),
            "update": lambda physical, *rest, **more: (physical, {}),
            "delete": lambda physical, properties: None,
        }

    return apply


def _is_missing(kind: str) -> Callable[[], bool]:
    return lambda: kind not in HANDLERS


def _take_expressions() -> None:
    handler = HANDLERS[_ALARM]
    original, original_update = handler["create"], handler["update"]

    def create(logical: str, properties: dict[str, Any], stack: str) -> Any:
        if "Metrics" not in properties:
            return original(logical, properties, stack)
        name = f"{stack}-{logical}"
        return name, {"Arn": f"arn:aws:cloudwatch:us-east-1:000000000000:alarm:{name}"}

    def update(physical: str, *rest: Any, **named: Any) -> Any:
        if not any(isinstance(each, dict) and "Metrics" in each for each in rest):
            return original_update(physical, *rest, **named)
        return physical, {"Arn": f"arn:aws:cloudwatch:us-east-1:000000000000:alarm:{physical}"}

    handler |= {"create": create, "update": update}


def _refuses_expressions() -> bool:
    properties = {
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "Metrics": [{"Id": "sum", "Expression": "1 + 1"}],
    }
    try:
        HANDLERS[_ALARM]["create"]("Probe", properties, "probe")
    except ValueError:
        return True
    return False


SHIMS = (
    *(
        Shim(
            kind,
            f"CloudFormation creates {kind}; ministack does not know the type. It exists in name "
            "only: nothing here depends on what it does.",
            _named(kind),
            _is_missing(kind),
        )
        for kind in (
            "AWS::EC2::SecurityGroupEgress",
            "AWS::EC2::SecurityGroupIngress",
            "AWS::ApiGatewayV2::Deployment",
            "AWS::Budgets::Budget",
            "AWS::ECR::PullThroughCacheRule",
            "AWS::ECR::RepositoryCreationTemplate",
        )
    ),
    Shim(
        "alarms-on-expressions",
        "An alarm may watch an expression over metrics; ministack wants one metric.",
        _take_expressions,
        _refuses_expressions,
    ),
)
