"""Checks of what the settings name in the account, before anything is deployed."""

from collections.abc import Iterator, Mapping
from functools import partial

from conducto_cli.deploy.checks import CheckResult, Status, guarded, machine_quotas, spot_quota
from conducto_cli.deploy.port import AwsAccount, Subnet
from conducto_core.buckets.rules import read_buckets
from conducto_core.installation.names import stack_name
from conducto_core.installation.rules import limitations
from conducto_core.people.task_roles import TaskRole, read_task_roles

#: Zones without Fargate; the first has no One Zone file systems either. Names of zones differ from
#: account to account, ids do not.
UNSUPPORTED_ZONES = frozenset({"use1-az3", "usw1-az2", "apne1-az3", "cac1-az3", "cnn1-az3"})
_TASKS = "ecs-tasks.amazonaws.com"
_TRUST = (
    '{"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, '
    '"Action": "sts:AssumeRole"}'
)


def settings_findings(
    account: AwsAccount, stage: str, settings: Mapping[str, str], *, first: bool
) -> Iterator[CheckResult]:
    """Yield how what the settings name is: the region's parts, zones, subnets, roles.

    Args:
        account: The account.
        stage: Name of the installation.
        settings: Its settings.
        first: Nothing is deployed yet; later the zones stay as they are.
    """
    yield from limitation_findings(account.region or "", stage, settings)
    if settings.get("vpc_id"):
        yield guarded("network", lambda: _network(account, settings))
        yield guarded("dns", lambda: _dns(account, settings["vpc_id"]))
    elif first:
        yield guarded("zone", lambda: _zone(account, settings))
    if settings.get("spot_share") not in (None, "", "0"):
        yield guarded("spot quota", lambda: spot_quota(account))
    if settings.get("machines"):
        yield from machine_quotas(account, settings["machines"])
    if settings.get("buckets"):
        yield from _buckets(account, settings["buckets"])
    if settings.get("task_roles"):
        yield from _roles(account, settings["task_roles"])


def limitation_findings(
    region: str, stage: str, settings: Mapping[str, str]
) -> Iterator[CheckResult]:
    """Yield the parts of an installation that a region lacks."""
    for each in limitations(region, stage, settings):
        status = Status.FAILED if each.is_refused else Status.WARNING
        yield CheckResult(each.name, status, each.text, each.remedy)


def pinned_zone(
    account: AwsAccount, stage: str, settings: Mapping[str, str], *, is_new: bool = False
) -> dict[str, str]:
    """Return the setting ``zone``: where the installation is, or else the first usable zones.

    Args:
        account: The account.
        stage: Name of the installation.
        settings: Its settings; empty is returned if they name a zone or a network.
        is_new: Whether the network will be created, even if there is one.

    Raises:
        AccountError: AWS rejected a request.
    """
    if settings.get("vpc_id") or settings.get("zone"):
        return {}
    found = [] if is_new else list(account.stack_zones(stack_name(stage, "network")))
    return {"zone": ",".join(found or _usable(account.zones())[: _count(settings)])}


def _usable(known: Mapping[str, str]) -> list[str]:
    return sorted(name for name, zone_id in known.items() if zone_id not in UNSUPPORTED_ZONES)


def _count(settings: Mapping[str, str]) -> int:
    return 2 if settings.get("zones") == "2" else 1


def _zone(account: AwsAccount, settings: Mapping[str, str]) -> CheckResult:
    known = account.zones()
    usable = _usable(known)
    names = settings["zone"].split(",")
    remedy = f"choose with -c zone=NAME (with zones=2 two names) of: {', '.join(usable)}"
    if len(set(names)) != _count(settings):
        text = f"zones={_count(settings)} needs {_count(settings)} zones, found {', '.join(names)}"
        return CheckResult("zone", Status.FAILED, text, remedy)
    for name in names:
        if name not in known:
            text = f"{account.region} has no zone {name!r} for this account"
            return CheckResult("zone", Status.FAILED, text, remedy)
        if name not in usable:
            text = f"{name} ({known[name]}) does not offer what workers and their files need"
            return CheckResult("zone", Status.FAILED, text, remedy)
    return CheckResult("zone", Status.OK, ", ".join(names))


def _dns(account: AwsAccount, vpc: str) -> CheckResult:
    missing = account.missing_dns(vpc)
    if not missing:
        return CheckResult("dns", Status.OK, f"{vpc} resolves names")
    text = f"{vpc} has {' and '.join(missing)} turned off: workers cannot mount files by name"
    remedy = "\n".join(
        f"aws ec2 modify-vpc-attribute --vpc-id {vpc} "
        f"--{'enable-dns-support' if name == 'enableDnsSupport' else 'enable-dns-hostnames'}"
        for name in missing
    )
    return CheckResult("dns", Status.FAILED, text, remedy)


def _network(account: AwsAccount, settings: Mapping[str, str]) -> CheckResult:
    vpc = settings["vpc_id"]
    ids = [each for each in settings.get("vpc_subnets", "").split(",") if each]
    zones = dict(zip(ids, settings.get("vpc_zones", "").split(","), strict=False))
    found = {subnet.id: subnet for subnet in account.subnets(ids)}
    public = settings.get("public_ip") != "false"
    for each in ids:
        problem = _problem(found.get(each), each, vpc, zones.get(each), public=public)
        if problem is not None:
            return problem
    return CheckResult("network", Status.OK, f"{vpc}, {', '.join(ids)}")


def _problem(
    subnet: Subnet | None, name: str, vpc: str, zone: str | None, *, public: bool
) -> CheckResult | None:
    """Return why workers cannot be started in a subnet, if so."""
    if subnet is None:
        return _wrong(f"vpc_subnets: {name} does not exist here", "correct -c vpc_subnets")
    if subnet.vpc != vpc:
        return _wrong(f"{name} is in {subnet.vpc}, not in {vpc}", "correct -c vpc_subnets")
    if subnet.zone != zone:
        return _wrong(f"{name} is in {subnet.zone}, not in {zone}", "correct -c vpc_zones")
    return _no_way_out(name, subnet.way_out, public=public)


def _no_way_out(name: str, target: str | None, *, public: bool) -> CheckResult | None:
    if target is None:
        text = f"{name} has no route to 0.0.0.0/0: workers cannot reach Conducto's API"
        return _wrong(text, "add a NAT gateway, or a route to one")
    is_gateway = target.startswith("igw-")
    if is_gateway and not public:
        text = f"{name} leads to an internet gateway, which serves public addresses only"
        return _wrong(text, "name private subnets with a NAT gateway, or leave public_ip on")
    if public and not is_gateway:
        text = f"{name} leads to {target}; workers would have public addresses for nothing"
        return CheckResult("network", Status.WARNING, text, "-c public_ip=false saves their price")
    return None


def _wrong(text: str, remedy: str) -> CheckResult:
    return CheckResult("network", Status.FAILED, text, remedy)


def _roles(account: AwsAccount, text: str) -> Iterator[CheckResult]:
    try:
        roles = read_task_roles(text)
    except ValueError as error:
        yield _refused(str(error), "correct -c task_roles")
        return
    number = account.caller().account
    for role in {each.arn: each for each in roles}.values():
        yield guarded("task role", partial(_role, account, role, number))


def _buckets(account: AwsAccount, text: str) -> Iterator[CheckResult]:
    try:
        known = read_buckets(text)
    except ValueError as error:
        yield CheckResult("bucket", Status.FAILED, str(error), "correct -c buckets")
        return
    for name in dict.fromkeys(each.bucket.name for each in known):
        yield guarded("bucket", partial(_bucket, account, name))


def _bucket(account: AwsAccount, name: str) -> CheckResult:
    found = account.bucket(name)
    if found is None:
        text, remedy = f"{name} does not exist", "create it, or correct -c buckets"
    elif found.region != account.region:
        text = f"{name} is in {found.region}, not in {account.region}"
        remedy = "S3 Files mounts buckets of its region only: copy it, or deploy there"
    elif not found.versioned:
        text = f"{name} keeps no versions, which S3 Files requires"
        remedy = (
            f"aws s3api put-bucket-versioning --bucket {name} "
            "--versioning-configuration Status=Enabled"
        )
    else:
        return CheckResult("bucket", Status.OK, name)
    return CheckResult("bucket", Status.FAILED, text, remedy)


def _role(account: AwsAccount, role: TaskRole, number: str) -> CheckResult:
    if role.account != number:
        return _refused(
            f"{role.arn} is of account {role.account}",
            f"name a role of this account, {number}; it may assume a role of another one",
        )
    trusted = account.trusted_services(role.name)
    if trusted is None:
        return _refused(f"{role.arn} does not exist", "create it, or correct -c task_roles")
    if _TASKS not in trusted:
        return _refused(f"{role.arn} does not trust {_TASKS}", f"add to its trust policy: {_TRUST}")
    return CheckResult("task role", Status.OK, role.arn)


def _refused(text: str, remedy: str) -> CheckResult:
    return CheckResult("task role", Status.FAILED, text, remedy)
