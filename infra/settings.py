"""What a deployment may choose, read from CDK's context and checked before anything is built."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from conducto_core.model.deployment import MONTHLY_BUDGET, SETTINGS
from conducto_core.model.task_roles import TaskRole, read_task_roles

#: Days that CloudWatch Logs can keep; other numbers are refused by AWS after minutes of deploying.
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557)
_NO_BUDGET = "off"
_STAGE = re.compile(r"[a-z][a-z0-9-]{0,15}")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}")
_VPC = re.compile(r"vpc-[0-9a-f]{8,17}")
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(?::\d+)?(?:/[!-~]*)?")
_SMTP = re.compile(r"smtps?://(?:[^@:/\s]+@)?[A-Za-z0-9.-]+(?::\d+)?")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_SUBNET = re.compile(r"subnet-[0-9a-f]{8,17}")
_ZONE_NAME = r"[a-z]{2}(?:-[a-z]+)+-\d[a-z]"
_ZONES = re.compile(rf"{_ZONE_NAME}(?:,{_ZONE_NAME})?")


_HOST_NAME = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)+"
#: AWS takes no other secrets for a cache.
_WITH = r"=arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:ecr-pullthroughcache/[\w/+=.@-]+"
_CACHES = re.compile(rf"{_HOST_NAME}(?:{_WITH})?(?:,{_HOST_NAME}(?:{_WITH})?)*")
#: Registries that ECR has a cache of only with credentials.
_WITH_CREDENTIALS = ("docker.io", "ghcr.io")
#: Characters of the name of a cache.
_MAX_PREFIX = 30


class SettingsError(Exception):
    """A value cannot be used; the message names it and says what would do."""


@dataclass(frozen=True, slots=True)
class ExistingVpc:
    """A network that is there already.

    Attributes:
        vpc_id: Its id.
        zones: Availability zones of the subnets, in their order.
        subnets: With a way out: to an internet gateway, or, where workers get no public address, by
            a NAT.
    """

    vpc_id: str
    zones: tuple[str, ...]
    subnets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """One installation.

    Attributes:
        stage: Tells installations of one account and region apart; part of every name.
        domain: Name under which the web app is served; None is CloudFront's own.
        certificate: ARN of its certificate (in us-east-1), needed with ``domain``.
        vpc: None makes a network.
        zones: Availability zones of the network that is made: 1 halves the price of files, 2 go on
            when a zone fails.
        zone: Names of these zones, separated by commas; None: the first of the region.
        public_ip: Workers get public addresses; False needs ``vpc``.
        spot_share: Of ten workers, how many may be Spot, 0 to 10.
        billing: People pay for plans; off, an administrator sets them.
        log_days: Days that logs of functions and workers are kept.
        tracing: X-Ray is on.
        alarm_email: Who hears of alarms; None: nobody.
        remote_debug: People may open debug shells on workers; whoever may can get at the role of
            such workers, which mounts any pipeline's files (docs/decisions/0012).
        monthly_budget: Dollars a month above which the alarm for spending goes off; None: none.
        task_roles: Roles that commands get, ``ORG=ARN,ORG/TITLE=ARN``; None: they get none.
        mount_policy: The statement that mounts files is added to these roles; off, their owner adds
            it.
        pull_through: Registries that have a cache in this account, ``host=secret,host``; None: none
            has one.
        smtp_url: Mail server of notifications, ``smtp://user@host:587``, whose password is a
            secret of who uses it; None: there is no mail.
        email_from: Address that such mail comes from, needed with ``smtp_url``.
        slack_url: Takes the place of Slack's API; None: Slack's own.
        github_url: Takes the place of GitHub's API; None: GitHub's own.
    """

    stage: str = "main"
    domain: str | None = None
    certificate: str | None = None
    vpc: ExistingVpc | None = None
    zones: int = 1
    zone: str | None = None
    public_ip: bool = True
    spot_share: int = 0
    billing: bool = False
    log_days: int = 30
    tracing: bool = False
    alarm_email: str | None = None
    monthly_budget: float | None = MONTHLY_BUDGET
    task_roles: str | None = None
    mount_policy: bool = True
    remote_debug: bool = True
    pull_through: str | None = None
    smtp_url: str | None = None
    email_from: str | None = None
    slack_url: str | None = None
    github_url: str | None = None

    @property
    def prefix(self) -> str:
        """What every name begins with."""
        return f"conducto-{self.stage}"

    @property
    def caches(self) -> tuple[tuple[str, str | None], ...]:
        """``(registry, ARN of the secret with its credentials)`` of those with a cache."""
        given = (self.pull_through or "").split(",")
        pairs = (one.partition("=") for one in given if one)
        return tuple((host, secret or None) for host, _, secret in pairs)

    @property
    def named_roles(self) -> tuple[TaskRole, ...]:
        """Roles that commands get."""
        return read_task_roles(self.task_roles or "")


DEFAULTS = Settings()


def as_context(settings: Settings) -> dict[str, str]:
    """Return the context values that make these settings, without the stage and the defaults."""
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
    if value is None:  # of the settings with a default that is a value, one can be off
        return _NO_BUDGET
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def settings_from(lookup: Callable[[str], Any]) -> Settings:
    """Return the settings that ``cdk -c name=value`` and cdk.json give.

    Args:
        lookup: Returns a context value or None, such as ``app.node.try_get_context``.

    Raises:
        SettingsError: a value cannot be used.
    """
    domain = _text(lookup, "domain", _DOMAIN, "a host name such as pipelines.example.org")
    certificate = lookup("certificate") or None
    if (domain is None) != (certificate is None):
        raise SettingsError("domain and certificate (its ARN in us-east-1) go together: give both")
    smtp_url = _text(lookup, "smtp_url", _SMTP, "smtp://[user@]host[:port] or smtps://…")
    email_from = _text(lookup, "email_from", _ADDRESS, "an address such as ci@example.org")
    if (smtp_url is None) != (email_from is None):
        raise SettingsError("smtp_url and email_from go together: give both")
    stage = _text(lookup, "stage", _STAGE, "lower-case letters, digits and '-', at most 16")
    vpc, zones = _vpc(lookup), _number(lookup, "zones", 1, 1, 2)
    return Settings(
        stage=stage or DEFAULTS.stage,
        domain=domain,
        certificate=certificate,
        vpc=vpc,
        zones=zones,
        zone=_zone(lookup, zones, vpc),
        public_ip=_public_ip(lookup, vpc),
        spot_share=_number(lookup, "spot_share", 0, 0, 10),
        billing=_flag(lookup, "billing"),
        log_days=_log_days(lookup),
        tracing=_flag(lookup, "tracing"),
        alarm_email=lookup("alarm_email") or None,
        monthly_budget=_budget(lookup),
        task_roles=_task_roles(lookup),
        mount_policy=_flag(lookup, "mount_policy", default=True),
        remote_debug=_flag(lookup, "remote_debug", default=True),
        pull_through=_caches(lookup, stage or DEFAULTS.stage),
        smtp_url=smtp_url,
        email_from=email_from,
        slack_url=_text(lookup, "slack_url", _HTTPS, "the https:// address of an API"),
        github_url=_text(lookup, "github_url", _HTTPS, "the https:// address of an API"),
    )


def from_mapping(values: Mapping[str, Any]) -> Settings:
    """Return the settings that a plain mapping gives, for tests."""
    return settings_from(values.get)


def _text(
    lookup: Callable[[str], Any], name: str, pattern: re.Pattern[str], wanted: str
) -> str | None:
    value = lookup(name)
    if value in (None, ""):
        return None
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise SettingsError(f"{name}={value!r}: {wanted} is needed")
    return value


def _number(lookup: Callable[[str], Any], name: str, default: int, low: int, high: int) -> int:
    value = lookup(name)
    if value in (None, ""):
        return default
    text = str(value)
    if not text.isdigit() or not low <= int(text) <= high:
        raise SettingsError(f"{name}={value!r}: a whole number from {low} to {high} is needed")
    return int(text)


def _log_days(lookup: Callable[[str], Any]) -> int:
    days = _number(lookup, "log_days", DEFAULTS.log_days, 1, LOG_DAYS[-1])
    if days not in LOG_DAYS:
        raise SettingsError(f"log_days={days}: AWS keeps logs {', '.join(map(str, LOG_DAYS))} days")
    return days


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
            f"monthly_budget={value!r}: a number of dollars above 0 is needed, or off"
        )
    return dollars


def _flag(lookup: Callable[[str], Any], name: str, *, default: bool = False) -> bool:
    value = lookup(name)
    known = {None: default, "": default, False: False, "false": False, True: True, "true": True}
    if value not in known:
        raise SettingsError(f"{name}={value!r}: true or false is needed")
    return known[value]


def _zone(lookup: Callable[[str], Any], zones: int, vpc: ExistingVpc | None) -> str | None:
    text = _text(
        lookup, "zone", _ZONES, "the name of a zone such as us-east-1b, or with zones=2 two"
    )
    if text is None:
        return None
    if vpc is not None:
        raise SettingsError(
            f"zone={text!r}: with vpc_id, vpc_subnets and vpc_zones choose the zones"
        )
    if len(set(text.split(","))) != zones:
        raise SettingsError(f"zone={text!r}: zones={zones} needs {zones} different names")
    return text


def _public_ip(lookup: Callable[[str], Any], vpc: ExistingVpc | None) -> bool:
    public = _flag(lookup, "public_ip", default=True)
    if not public and vpc is None:
        raise SettingsError(
            "public_ip=false needs vpc_id with private subnets that have a NAT: the network that "
            "Conducto makes has none, so its workers could reach nothing"
        )
    return public


def _task_roles(lookup: Callable[[str], Any]) -> str | None:
    text = str(lookup("task_roles") or "")
    try:
        read_task_roles(text)
    except ValueError as error:
        raise SettingsError(f"task_roles: {error}") from error
    return text or None


def _caches(lookup: Callable[[str], Any], stage: str) -> str | None:
    text = _text(lookup, "pull_through", _CACHES, "host=ARN of a secret,host, e.g. quay.io")
    found = Settings(stage=stage, pull_through=text)
    for host, secret in found.caches:
        if host in _WITH_CREDENTIALS and secret is None:
            raise SettingsError(
                f"pull_through: {host} lets AWS in with credentials only; put them into a secret "
                f"called ecr-pullthroughcache/… and write {host}=ARN of the secret"
            )
        if len(f"{found.prefix}/{host}") > _MAX_PREFIX:
            raise SettingsError(
                f"pull_through: {found.prefix}/{host} is longer than the {_MAX_PREFIX} characters "
                "that ECR takes; leave it out, or choose a shorter stage"
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
            "vpc_id needs vpc_subnets (public ones) and vpc_zones of the same number, e.g. "
            "-c vpc_subnets=subnet-0a…,subnet-0b… -c vpc_zones=us-east-1a,us-east-1b"
        )
    for subnet in subnets:
        if _SUBNET.fullmatch(subnet) is None:
            raise SettingsError(f"vpc_subnets: {subnet!r} is no id of a subnet")
    return ExistingVpc(vpc_id, zones, subnets)
