"""The settings of a deployment, read from CDK's context and validated before synthesis."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from conducto.wire.buckets import MAX_BUCKETS
from conducto_core.buckets.rules import RegisteredBucket, read_buckets, urls_of
from conducto_core.events.rules.queues import read_queues
from conducto_core.installation.names import MONTHLY_BUDGET, SETTINGS, Variables
from conducto_core.installation.rules import (
    CODEBUILD,
    DOCKER,
    builds_agent,
    limitations,
    opens_shells,
    runs_arm,
)
from conducto_core.machines.model import MachineClass
from conducto_core.machines.rules import read_machines
from conducto_core.people.task_roles import TaskRole, read_task_roles
from conducto_core.secrets.rules import read_prefixes
from conducto_core.workers.model import MAX_WARM_MINUTES, MAX_WARM_WORKERS, WARM_MINUTES

#: Retention values of CloudWatch Logs, in days; AWS would reject others minutes into a deployment.
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557)
_NO_BUDGET = "off"
_STAGE = re.compile(r"[a-z][a-z0-9-]{0,15}")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}")
_IDENTITY = re.compile("cognito")
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,255}")
_PROVIDERS = re.compile(r"[\w.-]{1,32}(?:,[\w.-]{1,32})*")
_AGENT_BUILD = re.compile(f"{CODEBUILD}|{DOCKER}")
_VPC = re.compile(r"vpc-[0-9a-f]{8,17}")
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(?::\d+)?(?:/[!-~]*)?")
_SMTP = re.compile(r"smtps?://(?:[^@:/\s]+@)?[A-Za-z0-9.-]+(?::\d+)?")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_SENDER = re.compile(r"([^@\s]+@)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_SUBNET = re.compile(r"subnet-[0-9a-f]{8,17}")
_ZONE_NAME = r"[a-z]{2}(?:-[a-z]+)+-\d[a-z]"
_ZONES = re.compile(rf"{_ZONE_NAME}(?:,{_ZONE_NAME})?")


_HOST_NAME = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)+"
#: AWS requires this name prefix for the secrets of caches.
_WITH = r"=arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:ecr-pullthroughcache/[\w/+=.@-]+"
_CACHES = re.compile(rf"{_HOST_NAME}(?:{_WITH})?(?:,{_HOST_NAME}(?:{_WITH})?)*")
#: Registries for which ECR caches require credentials.
_WITH_CREDENTIALS = ("docker.io", "ghcr.io")
#: Maximum characters of roles and caches in the environment of functions, which AWS limits to 4 KB,
#: and characters of an address of ECR.
MAX_VARIABLES, _ADDRESS_SIZE = 1200, 60
#: Maximum characters of the ids of a file system and its access point, of 40 digits each.
_FILES_SIZE = 90
#: Maximum length of the settings, which are stored in one parameter of SSM.
MAX_STORED = 4096
#: Value of the setting ``data``.
S3 = "s3"
#: Maximum length of a cache's prefix.
_MAX_PREFIX = 30


class SettingsError(Exception):
    """A setting is invalid; the message names it and the valid values."""


@dataclass(frozen=True, slots=True)
class ExistingVpc:
    """An existing network.

    Attributes:
        vpc_id: Its id.
        zones: Availability zones of the subnets, in the same order.
        subnets: Subnets with a route to an internet gateway or, if workers get no public address,
            to a NAT gateway.
    """

    vpc_id: str
    zones: tuple[str, ...]
    subnets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one installation.

    Attributes:
        stage: Distinguishes installations in an account and region; part of every name.
        region: The region, which may lack parts (`conducto_core.installation.rules`).
        domain: Host name of the web app; None: CloudFront's own.
        certificate: ARN of its certificate (in us-east-1), required with ``domain``.
        vpc: An existing network; None creates one.
        zones: Number of availability zones of a new network: 1 halves the price of files, 2
            tolerate the failure of a zone.
        zone: Names of these zones, separated by commas; None with ``vpc``.
        public_ip: Whether workers get public addresses; False requires ``vpc``.
        spot_share: Maximum number of Spot workers among ten, 0 to 10.
        warm_workers: Maximum number of workers of an organisation that stay for the next run of
            their pipeline; 0: they leave at once.
        warm_minutes: Minutes for which each of them stays.
        billing: Whether users pay for plans; otherwise an administrator sets plans.
        identity: ``cognito``: people sign in with accounts of a user pool, which is created; None:
            with tokens.
        identity_providers: Names of providers of the user pool with which people sign in, besides
            its own accounts, separated by commas; None: no others.
        ci_issuer: Issuer of the ID tokens of CI runs; None: GitHub's.
        function_room: Concurrent executions of functions that no other function of the account has
            reserved; not a setting of users.
        agent_build: ``codebuild`` or ``docker``: what builds the image of the workers' agent; None:
            see `conducto_core.installation.rules.builds_agent`.
        arm: Whether workers may run on ARM; None: see `conducto_core.installation.rules.runs_arm`.
        machines: Machine classes, ``CLASS=TYPE,TYPE:OPTION,OPTION; ...``
            (`conducto_core.machines.rules`); None: Fargate only.
        secret_stores: Beginnings of names of secrets and parameters of the account that commands
            may get by reference, ``aws-sm:prod/,ssm:/prod/``; None: none.
        buckets: Buckets that commands may mount, ``ORG=s3://BUCKET/PREFIX:MODE,…``; None: none.
        data: ``s3``: ``/conducto/data`` is of S3 Files over a bucket; None: of EFS.
        soci: Whether CodeBuild adds SOCI indexes to the images of pipelines.
        log_days: Retention of the logs of functions and workers, in days.
        tracing: Whether X-Ray is enabled.
        events: Whether triggers may receive events of the account from EventBridge and SQS.
        queues: Queues of SQS that triggers may read besides their own, ``ORG=ARN,ORG=ARN``; None:
            none.
        alarm_email: Recipient of alarms; None: no recipient.
        remote_debug: Whether debug shells on workers are allowed; None: see
            `conducto_core.installation.rules.opens_shells`. Their users can obtain the credentials
            of such workers, whose role can mount any pipeline's files (docs/decisions/0012).
        monthly_budget: Threshold of the spending alarm in dollars per month; None: no alarm.
        task_roles: Roles of commands, ``ORG=ARN,ORG/HOST/OWNER/NAME:PATH=ARN``; None: no roles.
        mount_policy: Whether to add the statement for mounting files to these roles; otherwise
            their owner adds it.
        pull_through: Registries with a cache in this account, ``host=secret,host``; None: no
            caches.
        log_bucket: Name of a bucket that gets copies of output and of the audit log.
        otlp_endpoint: Address of an OpenTelemetry collector that takes OTLP over HTTP.
        otlp_headers_secret: Name of a secret with headers for it, ``name=value,name=value``.
        smtp_url: Mail server for notifications, ``smtp://user@host:587``; users store its password
            as a secret; None: no mail.
        email_from: Sender address of such mail, required with ``smtp_url``.
        ses_identity: Verified SES identity that sends the mail of accounts: an address, or a
            domain; None: Cognito's own address, 50 messages a day.
        slack_url: Replaces the address of Slack's API; None: Slack.
        github_url: Replaces the address of GitHub's API; None: GitHub.
    """

    stage: str = "main"
    region: str = "us-east-1"
    domain: str | None = None
    certificate: str | None = None
    vpc: ExistingVpc | None = None
    zones: int = 1
    zone: str | None = None
    public_ip: bool = True
    spot_share: int = 0
    warm_workers: int = 0
    warm_minutes: int = WARM_MINUTES
    billing: bool = False
    identity: str | None = None
    identity_providers: str | None = None
    ci_issuer: str | None = None
    function_room: int = 0
    agent_build: str | None = None
    arm: bool | None = None
    machines: str | None = None
    secret_stores: str | None = None
    buckets: str | None = None
    data: str | None = None
    soci: bool = False
    log_bucket: str | None = None
    log_days: int = 30
    tracing: bool = False
    events: bool = False
    queues: str | None = None
    alarm_email: str | None = None
    monthly_budget: float | None = MONTHLY_BUDGET
    task_roles: str | None = None
    mount_policy: bool = True
    otlp_endpoint: str | None = None
    otlp_headers_secret: str | None = None
    remote_debug: bool | None = None
    pull_through: str | None = None
    smtp_url: str | None = None
    email_from: str | None = None
    ses_identity: str | None = None
    slack_url: str | None = None
    github_url: str | None = None

    @property
    def prefix(self) -> str:
        return f"conducto-{self.stage}"

    @property
    def builds_agent(self) -> bool:
        return builds_agent(self.region, as_context(self))

    @property
    def runs_arm(self) -> bool:
        return runs_arm(self.region, as_context(self))

    @property
    def opens_shells(self) -> bool:
        return opens_shells(as_context(self))

    @property
    def caches(self) -> tuple[tuple[str, str | None], ...]:
        """``(registry, ARN of the secret with its credentials)`` of registries with a cache."""
        given = (self.pull_through or "").split(",")
        pairs = (one.partition("=") for one in given if one)
        return tuple((host, secret or None) for host, _, secret in pairs)

    @property
    def machine_classes(self) -> tuple[MachineClass, ...]:
        return tuple(read_machines(self.machines or "").values())

    @property
    def registered_buckets(self) -> tuple[RegisteredBucket, ...]:
        return read_buckets(self.buckets or "")

    @property
    def named_roles(self) -> tuple[TaskRole, ...]:
        return read_task_roles(self.task_roles or "")


DEFAULTS = Settings()


def as_context(settings: Settings) -> dict[str, str]:
    """Return the context values of these settings, without the stage and without defaults."""
    vpc = settings.vpc
    values: dict[str, object] = {
        name: getattr(settings, name)
        for name in SETTINGS
        if not name.startswith("vpc_") and getattr(settings, name) != getattr(DEFAULTS, name)
    }
    if vpc is not None:
        values |= {
            "vpc_id": vpc.vpc_id,
            "vpc_subnets": ",".join(vpc.subnets),
            "vpc_zones": ",".join(vpc.zones),
        }
    return {name: _written(value) for name, value in sorted(values.items())}


def _written(value: object) -> str:
    if value is None:  # a setting with a default value that is turned off
        return _NO_BUDGET
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def settings_from(lookup: Callable[[str], Any]) -> Settings:
    """Return the settings in ``cdk -c name=value`` and cdk.json.

    Args:
        lookup: Returns a context value or None, such as ``app.node.try_get_context``.

    Raises:
        SettingsError: A value is invalid.
    """
    found = _read(lookup)
    _check_pairs(found)
    _check_size(found)
    for limitation in limitations(found.region, found.stage, as_context(found)):
        if limitation.is_refused:
            raise SettingsError(f"{limitation.text}; {limitation.remedy}")
    return found


def _read(lookup: Callable[[str], Any]) -> Settings:
    domain = _text(lookup, "domain", _DOMAIN, "a host name such as pipelines.example.org")
    smtp_url = _text(lookup, "smtp_url", _SMTP, "smtp://[user@]host[:port] or smtps://…")
    email_from = _text(lookup, "email_from", _ADDRESS, "an address such as ci@example.org")
    otlp_endpoint = _text(lookup, "otlp_endpoint", _HTTPS, "the https:// address of a collector")
    headers_secret = _text(lookup, "otlp_headers_secret", _SECRET_NAME, "the name of a secret")
    identity = _text(lookup, "identity", _IDENTITY, "cognito")
    ses_identity = _text(lookup, "ses_identity", _SENDER, "an address or a domain in SES")
    stage = _text(lookup, "stage", _STAGE, "lower-case letters, digits and '-', at most 16")
    vpc, zones = _vpc(lookup), _number(lookup, "zones", 1, 1, 2)
    return Settings(
        stage=stage or DEFAULTS.stage,
        region=lookup("region") or DEFAULTS.region,
        domain=domain,
        certificate=lookup("certificate") or None,
        vpc=vpc,
        zones=zones,
        zone=_zone(lookup, zones, vpc),
        public_ip=_public_ip(lookup, vpc),
        spot_share=_number(lookup, "spot_share", 0, 0, 10),
        warm_workers=_number(lookup, "warm_workers", 0, 0, MAX_WARM_WORKERS),
        warm_minutes=_warm_minutes(lookup),
        billing=_flag(lookup, "billing"),
        identity=identity,
        identity_providers=_text(
            lookup, "identity_providers", _PROVIDERS, "names of providers, e.g. Google,Okta"
        ),
        ci_issuer=_text(lookup, "ci_issuer", _HTTPS, "the https:// address of an issuer"),
        function_room=_number(lookup, "function_room", 0, 0, 1_000_000),
        agent_build=_text(lookup, "agent_build", _AGENT_BUILD, f"{CODEBUILD} or {DOCKER}"),
        arm=_chosen_flag(lookup, "arm"),
        machines=_machines(lookup),
        secret_stores=_secret_stores(lookup),
        buckets=_buckets(lookup),
        data=_data(lookup),
        soci=_flag(lookup, "soci"),
        log_bucket=_text(lookup, "log_bucket", _BUCKET_NAME, "the name of a bucket"),
        log_days=_log_days(lookup),
        tracing=_flag(lookup, "tracing"),
        events=_flag(lookup, "events"),
        queues=_queues(lookup),
        alarm_email=lookup("alarm_email") or None,
        monthly_budget=_budget(lookup),
        task_roles=_task_roles(lookup),
        mount_policy=_flag(lookup, "mount_policy", default=True),
        remote_debug=_chosen_flag(lookup, "remote_debug"),
        pull_through=_caches(lookup, stage or DEFAULTS.stage),
        otlp_endpoint=otlp_endpoint,
        otlp_headers_secret=headers_secret,
        smtp_url=smtp_url,
        email_from=email_from,
        ses_identity=ses_identity,
        slack_url=_text(lookup, "slack_url", _HTTPS, "the https:// address of an API"),
        github_url=_text(lookup, "github_url", _HTTPS, "the https:// address of an API"),
    )


def _check_pairs(found: Settings) -> None:
    """Raise `SettingsError` if a setting lacks another one that it requires."""
    if (found.domain is None) != (found.certificate is None):
        raise SettingsError("domain requires certificate (an ARN in us-east-1), and vice versa")
    if (found.smtp_url is None) != (found.email_from is None):
        raise SettingsError("smtp_url requires email_from, and vice versa")
    if found.otlp_headers_secret is not None and found.otlp_endpoint is None:
        raise SettingsError("otlp_headers_secret requires otlp_endpoint")
    if found.ses_identity is not None and found.identity is None:
        raise SettingsError("ses_identity requires identity=cognito: it sends the mail of accounts")
    if found.identity_providers and found.identity is None:
        raise SettingsError("identity_providers requires identity=cognito")


def _check_size(found: Settings) -> None:
    """Raise `SettingsError` if functions or the store have no space for the settings."""
    size = (
        len(found.task_roles or "")
        + len(found.machines or "")
        + sum(len(name) + len(value) for name, value in collector_variables(found).items())
        + len(found.secret_stores or "")
        + len(found.queues or "")
        + len(found.buckets or "")
        + _FILES_SIZE * len(urls_of(found.registered_buckets))
        + sum(_ADDRESS_SIZE + len(found.prefix) + 2 * len(host) for host, _ in found.caches)
    )
    if size > MAX_VARIABLES:
        raise SettingsError(
            "task_roles, machines, secret_stores, queues, buckets, pull_through and otlp_endpoint "
            f"need {size} characters in the environment of functions; at most {MAX_VARIABLES}: "
            "name fewer roles, classes, prefixes, queues, buckets or registries"
        )
    if len(json.dumps(as_context(found))) > MAX_STORED:
        raise SettingsError(f"the settings are longer than {MAX_STORED} characters, as JSON")


def collector_variables(settings: Settings) -> dict[str, str]:
    """Return the variables of functions that name a collector, and a bucket for output."""
    chosen = {
        Variables.OTLP_ENDPOINT: settings.otlp_endpoint,
        Variables.OTLP_HEADERS_SECRET: settings.otlp_headers_secret,
        Variables.LOG_BUCKET: settings.log_bucket,
    }
    return {name: value for name, value in chosen.items() if value is not None}


def _text(
    lookup: Callable[[str], Any], name: str, pattern: re.Pattern[str], wanted: str
) -> str | None:
    value = lookup(name)
    if value in (None, ""):
        return None
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise SettingsError(f"{name}={value!r}: expected {wanted}")
    return value


def _number(lookup: Callable[[str], Any], name: str, default: int, low: int, high: int) -> int:
    value = lookup(name)
    if value in (None, ""):
        return default
    text = str(value)
    if not text.isdigit() or not low <= int(text) <= high:
        raise SettingsError(f"{name}={value!r}: expected a whole number from {low} to {high}")
    return int(text)


def _log_days(lookup: Callable[[str], Any]) -> int:
    days = _number(lookup, "log_days", DEFAULTS.log_days, 1, LOG_DAYS[-1])
    if days not in LOG_DAYS:
        raise SettingsError(f"log_days={days}: expected one of {', '.join(map(str, LOG_DAYS))}")
    return days


def _warm_minutes(lookup: Callable[[str], Any]) -> int:
    minutes = _number(lookup, "warm_minutes", WARM_MINUTES, 1, MAX_WARM_MINUTES)
    if lookup("warm_minutes") not in (None, "") and lookup("warm_workers") in (None, "", 0, "0"):
        raise SettingsError(f"warm_minutes={minutes} requires warm_workers, e.g. warm_workers=2")
    return minutes


def _budget(lookup: Callable[[str], Any]) -> float | None:
    value = lookup("monthly_budget")
    if value in (None, ""):
        return DEFAULTS.monthly_budget
    if value == _NO_BUDGET:
        return None
    try:
        dollars = float(value)
    except (TypeError, ValueError):
        dollars = 0.0
    if not dollars > 0:
        raise SettingsError(
            f"monthly_budget={value!r}: expected a number of dollars above 0, or off"
        )
    return dollars


def _flag(lookup: Callable[[str], Any], name: str, *, default: bool = False) -> bool:
    value = lookup(name)
    known = {None: default, "": default, False: False, "false": False, True: True, "true": True}
    if value not in known:
        raise SettingsError(f"{name}={value!r}: expected true or false")
    return known[value]


def _chosen_flag(lookup: Callable[[str], Any], name: str) -> bool | None:
    return None if lookup(name) in (None, "") else _flag(lookup, name)


def _zone(lookup: Callable[[str], Any], zones: int, vpc: ExistingVpc | None) -> str | None:
    text = _text(
        lookup, "zone", _ZONES, "the name of a zone such as us-east-1b, or with zones=2 two"
    )
    if text is None:
        if vpc is None:
            raise SettingsError("zone is required without vpc_id, e.g. zone=us-east-1b")
        return None
    if vpc is not None:
        raise SettingsError(
            f"zone={text!r} is not allowed with vpc_id; set vpc_subnets and vpc_zones instead"
        )
    if len(set(text.split(","))) != zones:
        raise SettingsError(f"zone={text!r}: zones={zones} needs {zones} different names")
    return text


def _public_ip(lookup: Callable[[str], Any], vpc: ExistingVpc | None) -> bool:
    public = _flag(lookup, "public_ip", default=True)
    if not public and vpc is None:
        raise SettingsError(
            "public_ip=false requires vpc_id with private subnets and a NAT: the network that "
            "Conducto creates has none, so its workers would have no internet access"
        )
    return public


def _task_roles(lookup: Callable[[str], Any]) -> str | None:
    text = str(lookup("task_roles") or "")
    try:
        read_task_roles(text)
    except ValueError as error:
        raise SettingsError(f"task_roles: {error}") from error
    return text or None


def _machines(lookup: Callable[[str], Any]) -> str | None:
    text = str(lookup("machines") or "").strip()
    try:
        read_machines(text)
    except ValueError as error:
        raise SettingsError(f"machines: {error}") from error
    return text or None


def _secret_stores(lookup: Callable[[str], Any]) -> str | None:
    text = str(lookup("secret_stores") or "").strip()
    try:
        read_prefixes(text)
    except ValueError as error:
        raise SettingsError(f"secret_stores: {error}") from error
    return text or None


def _data(lookup: Callable[[str], Any]) -> str | None:
    value = _text(lookup, "data", re.compile(f"efs|{S3}"), f"efs (the default) or {S3}")
    return None if value == "efs" else value


def _buckets(lookup: Callable[[str], Any]) -> str | None:
    text = str(lookup("buckets") or "").strip()
    try:
        found = read_buckets(text)
    except ValueError as error:
        raise SettingsError(f"buckets: {error}") from error
    if len(urls_of(found)) > MAX_BUCKETS:
        raise SettingsError(f"buckets: {len(urls_of(found))} addresses; at most {MAX_BUCKETS}")
    return text or None


def _queues(lookup: Callable[[str], Any]) -> str | None:
    text = str(lookup("queues") or "").strip()
    try:
        found = read_queues(text, lookup("region") or DEFAULTS.region)
    except ValueError as error:
        raise SettingsError(f"queues: {error}") from error
    if found and not _flag(lookup, "events"):
        raise SettingsError("queues requires events=true")
    return text or None


def _caches(lookup: Callable[[str], Any], stage: str) -> str | None:
    text = _text(lookup, "pull_through", _CACHES, "host=ARN of a secret,host, e.g. quay.io")
    found = Settings(stage=stage, pull_through=text)
    for host, secret in found.caches:
        if host in _WITH_CREDENTIALS and secret is None:
            raise SettingsError(
                f"pull_through: {host} requires credentials; store them in a secret "
                f"named ecr-pullthroughcache/… and write {host}=ARN of the secret"
            )
        if len(f"{found.prefix}/{host}") > _MAX_PREFIX:
            raise SettingsError(
                f"pull_through: {found.prefix}/{host} exceeds the {_MAX_PREFIX} characters "
                "that ECR allows; omit it, or choose a shorter stage"
            )
    return text


def _vpc(lookup: Callable[[str], Any]) -> ExistingVpc | None:
    vpc_id = _text(lookup, "vpc_id", _VPC, "an id such as vpc-0a1b2c3d4e5f60718")
    if vpc_id is None:
        return None
    subnets = tuple(s for s in str(lookup("vpc_subnets") or "").split(",") if s)
    zones = tuple(z for z in str(lookup("vpc_zones") or "").split(",") if z)
    if not subnets or len(subnets) != len(zones):
        raise SettingsError(
            "vpc_id requires as many vpc_subnets (public ones) as vpc_zones, e.g. "
            "-c vpc_subnets=subnet-0a…,subnet-0b… -c vpc_zones=us-east-1a,us-east-1b"
        )
    for subnet in subnets:
        if _SUBNET.fullmatch(subnet) is None:
            raise SettingsError(f"vpc_subnets: {subnet!r} is not a subnet id")
    return ExistingVpc(vpc_id, zones, subnets)


# ----------------------------------------------------------------------------------------
# What a stack makes according to the settings: log groups, and the right to trace.


def log_group(scope: Construct, name: str, settings: Settings, path: str) -> logs.LogGroup:
    """Return a log group with the retention of the installation."""
    group = logs.LogGroup(scope, name, log_group_name=path, removal_policy=RemovalPolicy.DESTROY)
    plain = group.node.default_child
    if isinstance(plain, logs.CfnLogGroup):  # the construct accepts only enum members
        plain.retention_in_days = settings.log_days
    return group


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
