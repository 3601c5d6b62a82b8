"""What a role needs whose function or state machine sends traces to X-Ray."""

from aws_cdk import aws_iam as iam

from infra.settings import Settings


def allow_tracing(settings: Settings, role: iam.Role) -> None:
    """Let a role send traces, where the installation has them on."""
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
            resources=["*"],  # X-Ray has no narrower one
        )
    )
