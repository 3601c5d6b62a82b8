"""Permissions for sending traces to X-Ray."""

from aws_cdk import aws_iam as iam

from infra.settings import Settings


def allow_tracing(settings: Settings, role: iam.Role) -> None:
    """Allow a role to send traces, if the installation enables tracing."""
    if not settings.tracing:
        return
    role.add_to_policy(
        iam.PolicyStatement(
            sid="Trace",
            actions=[
                "xray:PutTraceSegments",
                "xray:PutTelemetryRecords",
                "xray:GetSamplingRules",
                "xray:GetSamplingTargets",
            ],
            resources=["*"],  # X-Ray has no resource-level permissions for these
        )
    )
