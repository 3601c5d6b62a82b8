"""Monitoring of an installation, and the site of its web app."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from infra.settings import as_context, settings_from

from conducto_core.api.dispatch import page_policy
from conducto_core.installation.names import SETTINGS, STACKS, Variables, web_app_name
from support.installation import VARIANTS, ZONE, resources, templates

ROOT = Path(__file__).resolve().parents[2]


def _policies(site: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = resources(site, "AWS::CloudFront::ResponseHeadersPolicy")
    configs = [policy["Properties"]["ResponseHeadersPolicyConfig"] for policy in found]
    return {config["Name"]["Fn::Join"][1][-1].rpartition("-")[2]: config for config in configs}


def test_there_is_every_stack_that_the_command_line_knows(
    installation: dict[str, dict[str, Any]],
) -> None:
    assert set(installation) == set(STACKS)


def test_chosen_settings_are_stored_for_the_next_deployment() -> None:
    (parameter,) = [
        p
        for p in resources(templates("everything set")["data"], "AWS::SSM::Parameter")
        if p["Properties"]["Name"] == "/conducto/full/settings"
    ]

    assert json.loads(parameter["Properties"]["Value"]) == {
        "alarm_email": "ops@example.org",
        "billing": "true",
        "buckets": VARIANTS["everything set"]["buckets"],
        "certificate": VARIANTS["everything set"]["certificate"],
        "domain": "pipelines.example.org",
        "email_from": "ci@example.org",
        "events": "true",
        "identity": "cognito",
        "identity_providers": "Google,Okta",
        "ci_issuer": "https://github.example.org/_services/token",
        "log_bucket": "acme-logs",
        "log_days": "7",
        "monthly_budget": "80",
        "otlp_endpoint": "https://otlp.example.org",
        "otlp_headers_secret": "observability/otlp",
        "pull_through": VARIANTS["everything set"]["pull_through"],
        "queues": VARIANTS["everything set"]["queues"],
        "remote_debug": "false",
        "ses_identity": "mail.example.org",
        "smtp_url": "smtps://ci@mail.example.org",
        "task_roles": VARIANTS["everything set"]["task_roles"],
        "tracing": "true",
        "zone": "us-east-1a",
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_settings_are_read_back_from_their_stored_form(variant: str) -> None:
    settings = settings_from(VARIANTS[variant].get)
    written = as_context(settings)

    assert settings_from({**written, "stage": settings.stage}.get) == settings
    assert set(written) <= set(SETTINGS)


# ---- the web app ------------------------------------------------------------------------------


def test_only_cloudfront_reads_the_files_and_only_by_tls(
    installation: dict[str, dict[str, Any]],
) -> None:
    site = installation["site"]
    (bucket,) = resources(site, "AWS::S3::Bucket")
    (policy,) = resources(site, "AWS::S3::BucketPolicy")
    readers = [
        s
        for s in policy["Properties"]["PolicyDocument"]["Statement"]
        if s["Effect"] == "Allow" and s["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    ]

    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(resources(site, "AWS::CloudFront::OriginAccessControl")) == 1
    assert [s["Action"] for s in readers] == ["s3:GetObject"]
    assert "AWS:SourceArn" in json.dumps(readers[0]["Condition"])


def test_pages_have_the_headers_of_the_local_server_and_may_reach_their_own_cloud(
    installation: dict[str, dict[str, Any]],
) -> None:
    pages = _policies(installation["site"])["pages"]
    policy = pages["SecurityHeadersConfig"]["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    parts = policy["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else "X" for part in parts)

    head, _, rest = page_policy("HERE").partition("HERE")
    assert text.startswith(head + "https://X")
    assert text.endswith(rest)
    assert "unsafe" not in text


def test_api_responses_are_neither_framed_nor_cached(
    installation: dict[str, dict[str, Any]],
) -> None:
    responses = _policies(installation["site"])["responses"]
    policy = responses["SecurityHeadersConfig"]["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    custom = {h["Header"]: h["Value"] for h in responses["CustomHeadersConfig"]["Items"]}

    assert policy == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert custom["cache-control"] == "no-store"


def test_one_address_serves_pages_and_the_api_by_tls_only(
    installation: dict[str, dict[str, Any]],
) -> None:
    (found,) = resources(installation["site"], "AWS::CloudFront::Distribution")
    config = found["Properties"]["DistributionConfig"]
    behaviours = {b["PathPattern"]: b for b in config["CacheBehaviors"]}

    assistants = {"/mcp", "/.well-known/oauth-protected-resource/mcp"}
    assert set(behaviours) == {"/assets/*", "/session", "/socket", "/api/*", *assistants}
    assert all("POST" in behaviours[path]["AllowedMethods"] for path in assistants)
    every = [config["DefaultCacheBehavior"], *behaviours.values()]
    policies = {b["ViewerProtocolPolicy"] for b in every}
    assert policies == {"redirect-to-https", "https-only"}
    assert "POST" in behaviours["/api/*"]["AllowedMethods"]
    apis = [o for o in config["Origins"] if "CustomOriginConfig" in o]
    assert [o.get("OriginPath") for o in apis] == [None, "/api"]
    assert {o["CustomOriginConfig"]["OriginProtocolPolicy"] for o in apis} == {"https-only"}


def test_errors_are_not_cached_for_other_viewers(installation: dict[str, dict[str, Any]]) -> None:
    (found,) = resources(installation["site"], "AWS::CloudFront::Distribution")
    errors = found["Properties"]["DistributionConfig"]["CustomErrorResponses"]

    # Those that CloudFront keeps by itself (its guide, "How CloudFront caches errors").
    kept = {400, 403, 404, 405, 414, 500, 501, 502, 503, 504}
    assert {e["ErrorCode"] for e in errors} == kept
    assert {e["ErrorCachingMinTTL"] for e in errors} == {0}
    assert not any("ResponsePagePath" in e for e in errors)


def test_requests_with_a_session_pass_the_session_function(
    installation: dict[str, dict[str, Any]],
) -> None:
    (found,) = resources(installation["site"], "AWS::CloudFront::Distribution")
    behaviours = found["Properties"]["DistributionConfig"]["CacheBehaviors"]
    asked = {b["PathPattern"]: json.dumps(b.get("FunctionAssociations")) for b in behaviours}

    assert "AppSessions" in asked["/session"]
    assert asked["/session"] == asked["/socket"] == asked["/api/*"]
    assert "AppSessions" not in asked["/assets/*"]
    assert "AppSessions" not in asked["/mcp"]


def test_functions_learn_where_the_web_app_is() -> None:
    found = templates("two zones")
    (parameter,) = resources(found["site"], "AWS::SSM::Parameter")
    functions = resources(found["api"], "AWS::Serverless::Function")

    assert parameter["Properties"]["Name"] == web_app_name("prod")
    told = [f["Properties"]["Environment"]["Variables"][Variables.WEB_APP] for f in functions]
    assert set(told) == {web_app_name("prod")}


def test_a_domain_comes_with_its_certificate() -> None:
    (plain,) = resources(templates("default")["site"], "AWS::CloudFront::Distribution")
    (named,) = resources(templates("everything set")["site"], "AWS::CloudFront::Distribution")

    assert "Aliases" not in plain["Properties"]["DistributionConfig"]
    config = named["Properties"]["DistributionConfig"]
    assert config["Aliases"] == ["pipelines.example.org"]
    assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"


# ---- what watches -----------------------------------------------------------------------------


def test_every_alarm_has_a_remedy_and_is_silent_without_data(
    installation: dict[str, dict[str, Any]],
) -> None:
    alarms = resources(installation["watch"], "AWS::CloudWatch::Alarm")

    names = {alarm["Properties"]["AlarmName"].rpartition("-")[2] for alarm in alarms}
    assert names - {"RefusedUsage", "SignUps"} == {
        "Throttles",
        "Errors",
        "EventErrors",
        "TableThrottles",
        "LostEvents",
        "FailedReconciles",
        "FailedShells",
    }
    with_all = resources(templates("everything set")["watch"], "AWS::CloudWatch::Alarm")
    assert {"RefusedUsage", "SignUps"} <= {
        alarm["Properties"]["AlarmName"].rpartition("-")[2] for alarm in with_all
    }
    for alarm in alarms:
        assert "docs/cloud.md" in alarm["Properties"]["AlarmDescription"]
        assert alarm["Properties"]["TreatMissingData"] == "notBreaching"


def test_email_address_receives_each_alarm_and_budget_alert() -> None:
    watch = templates("everything set")["watch"]
    (topic,) = resources(watch, "AWS::SNS::Subscription")
    (budget,) = resources(watch, "AWS::Budgets::Budget")

    assert topic["Properties"]["Endpoint"] == "ops@example.org"
    for alarm in resources(watch, "AWS::CloudWatch::Alarm"):
        assert len(alarm["Properties"]["AlarmActions"]) == 1
    assert budget["Properties"]["Budget"]["BudgetLimit"] == {"Amount": 80, "Unit": "USD"}
    told = budget["Properties"]["NotificationsWithSubscribers"]
    assert {s["Address"] for n in told for s in n["Subscribers"]} == {"ops@example.org"}


def test_without_an_address_no_topic_is_created() -> None:
    watch = templates("default")["watch"]

    for kind in ("AWS::SNS::Topic", "AWS::SNS::Subscription"):
        assert resources(watch, kind) == []


def test_default_budget_is_made_unless_it_is_switched_off() -> None:
    (budget,) = resources(templates("default")["watch"], "AWS::Budgets::Budget")

    assert budget["Properties"]["Budget"]["BudgetLimit"] == {"Amount": 50, "Unit": "USD"}
    assert "NotificationsWithSubscribers" not in budget["Properties"]
    assert settings_from({**ZONE, "monthly_budget": "off"}.get).monthly_budget is None
    assert as_context(settings_from({**ZONE, "monthly_budget": "off"}.get)) == {
        **ZONE,
        "monthly_budget": "off",
    }
    assert as_context(settings_from({**ZONE, "monthly_budget": ""}.get)) == ZONE


def test_events_that_a_function_fails_to_process_are_kept(
    installation: dict[str, dict[str, Any]],
) -> None:
    called_by_events = {
        function["Properties"]["FunctionName"]
        for function in resources(installation["api"], "AWS::Serverless::Function")
        if function["Properties"].get("Events")
        or function["Properties"]["FunctionName"].endswith(("-hook-event", "-background"))
    }
    configs = resources(installation["watch"], "AWS::Lambda::EventInvokeConfig")

    assert {config["Properties"]["FunctionName"] for config in configs} == called_by_events
    for config in configs:
        assert "Lost" in json.dumps(config["Properties"]["DestinationConfig"]["OnFailure"])


def _watched(alarm: dict[str, Any]) -> list[str]:
    """Return the functions whose failures an alarm counts."""
    return [
        dimension["Value"]
        for query in alarm["Properties"].get("Metrics", ())
        if (metric := query.get("MetricStat", {}).get("Metric", {})).get("MetricName") == "Errors"
        for dimension in metric["Dimensions"]
        if dimension["Name"] == "FunctionName"
    ]


def test_failures_of_every_function_are_counted_by_one_alarm(
    installation: dict[str, dict[str, Any]],
) -> None:
    functions = [
        f["Properties"]["FunctionName"]
        for f in resources(installation["api"], "AWS::Serverless::Function")
    ]
    alarms = resources(installation["watch"], "AWS::CloudWatch::Alarm")

    assert sorted(name for alarm in alarms for name in _watched(alarm)) == sorted(functions)


def test_no_alarm_counts_more_than_cloudwatch_takes(
    installation: dict[str, dict[str, Any]],
) -> None:
    for alarm in resources(installation["watch"], "AWS::CloudWatch::Alarm"):
        queries = [q for q in alarm["Properties"].get("Metrics", ()) if "MetricStat" in q]
        assert len(queries) <= 10, alarm["Properties"]["AlarmName"]


def test_dashboard_shows_every_alarm_and_its_metrics(
    installation: dict[str, dict[str, Any]],
) -> None:
    (board,) = resources(installation["watch"], "AWS::CloudWatch::Dashboard")
    body = json.dumps(board["Properties"]["DashboardBody"])
    alarms = {
        name
        for name, found in installation["watch"]["Resources"].items()
        if found["Type"] == "AWS::CloudWatch::Alarm"
    }

    assert {name for name in alarms if f'"{name}", "Arn"' in body} == alarms
    for shown in ("Errors: requests", "Errors: events", "Throttles: events", "ExecutionThrottled"):
        assert shown in body
    assert "FailedReconciles" in body
    assert "FailedShells" in body


@pytest.mark.parametrize(
    ("metric", "module", "functions"),
    [
        ("FailedReconciles", "run/reconcile", ["background", "every-minute"]),
        ("FailedShells", "debug/sessions", ["every-minute"]),
    ],
)
def test_errors_of_the_minute_rule_are_found_in_its_log_and_have_an_alarm(
    installation: dict[str, dict[str, Any]], metric: str, module: str, functions: list[str]
) -> None:
    from pathlib import Path

    watch = installation["watch"]
    filters = [
        properties
        for each in resources(watch, "AWS::Logs::MetricFilter")
        if (properties := each["Properties"])["MetricTransformations"][0]["MetricName"].endswith(
            f"-{metric}"
        )
    ]
    source = Path(f"functions/chalicelib/{module}.py").read_text()

    assert len(filters) == len(functions)
    for found, function in zip(
        sorted(filters, key=lambda each: each["LogGroupName"]), functions, strict=True
    ):
        words = found["FilterPattern"].partition('"')[2].partition('"')[0]
        assert f'logger.exception("{words}"' in source
        assert found["LogGroupName"].endswith(f"-{function}")
    (counted,) = [
        alarm["Properties"]
        for alarm in resources(watch, "AWS::CloudWatch::Alarm")
        if alarm["Properties"]["AlarmName"].endswith(f"-{metric}")
    ]
    assert {counted["MetricName"]} == {
        each["MetricTransformations"][0]["MetricName"] for each in filters
    }
    # Each minute it fails again: that is more often in five minutes than the alarm lets pass.
    assert (counted["Period"], counted["Statistic"]) == (300, "Sum")
    assert counted["Threshold"] < 5


def test_tracing_is_on_when_asked_for() -> None:
    def modes(variant: str) -> set[str]:
        functions = resources(templates(variant)["api"], "AWS::Serverless::Function")
        return {f["Properties"].get("Tracing", "off") for f in functions}

    assert modes("default") <= {"off", "PassThrough"}
    assert modes("everything set") == {"Active"}


def test_tracing_is_enabled_and_permitted() -> None:
    def tracers(variant: str, stack: str) -> set[str]:
        template = templates(variant)[stack]
        return {
            role["Ref"]
            for policy in resources(template, "AWS::IAM::Policy")
            if "xray:PutTraceSegments" in json.dumps(policy)
            for role in policy["Properties"]["Roles"]
        }

    full = templates("everything set")
    roles = {
        f["Properties"]["Role"]["Fn::GetAtt"][0]
        for f in resources(full["api"], "AWS::Serverless::Function")
    }
    (machines,) = tracers("everything set", "compute")

    assert tracers("everything set", "api") == roles
    assert machines.startswith("MachineRole")
    assert tracers("default", "api") == tracers("default", "compute") == set()
    for function in resources(full["api"], "AWS::Serverless::Function"):
        assert function["Properties"]["Environment"]["Variables"]["CONDUCTO_TRACING"] == "on"
    assert "CONDUCTO_TRACING" not in json.dumps(templates("default"))


def test_every_route_of_the_api_requires_authentication(
    installation: dict[str, dict[str, Any]],
) -> None:
    (api,) = resources(installation["api"], "AWS::Serverless::Api")
    routes = {
        f"{method.upper()} {path}": operation.get("security")
        for path, methods in api["Properties"]["DefinitionBody"]["paths"].items()
        for method, operation in methods.items()
        if method in {"get", "put", "post", "delete", "patch"}
    }

    assert len(routes) > 20
    without = [route for route, security in routes.items() if not security]
    # The signature of a webhook's body authorizes it, and the metadata is public.
    assert without == ["GET /.well-known/oauth-protected-resource/mcp", "POST /api/v1/hooks/{hook}"]


def test_documentation_states_how_many_alarm_metrics_are_charged() -> None:
    counts = [
        sum(
            len([m for m in alarm["Properties"].get("Metrics", [{}]) if "Expression" not in m])
            for alarm in resources(templates(variant)["watch"], "AWS::CloudWatch::Alarm")
        )
        for variant in ("default", "everything set")
    ]

    page = (ROOT / "docs/cloud.md").read_text()
    assert counts[1] == counts[0] + 2  # billing and identity
    words = "with billing and with `identity` one more each"
    assert f"each of their {counts[0]} metrics, {words};" in page
    assert f"| {counts[0] / 10:.2f} |" in page


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_log_group_has_the_retention_that_was_chosen(variant: str) -> None:
    installation = templates(variant)
    groups = [each for t in installation.values() for each in resources(t, "AWS::Logs::LogGroup")]
    (copier,) = (
        function["Properties"]
        for function in resources(installation["site"], "AWS::Lambda::Function")
        if "CustomCDKBucketDeployment" in function["Properties"]["Role"]["Fn::GetAtt"][0]
    )

    days = VARIANTS[variant].get("log_days", 30)
    assert {group["Properties"]["RetentionInDays"] for group in groups} == {days}
    assert "FilesLogs" in json.dumps(copier["LoggingConfig"])


def test_providers_of_the_user_pool_survive_deployments() -> None:
    (client,) = resources(templates("everything set")["site"], "AWS::Cognito::UserPoolClient")

    assert client["Properties"]["SupportedIdentityProviders"] == ["COGNITO", "Google", "Okta"]
