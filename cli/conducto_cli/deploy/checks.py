"""Requirements of a deployment: a check that fails names the remedy."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial

from conducto.version import install_command
from conducto_cli.deploy.port import AccountError, AwsAccount, Machine
from conducto_cli.text.text import printable
from conducto_core.installation.names import STACKS, function_name, stack_name
from conducto_core.installation.rules import RESERVED, WITHOUT_BUILDS, reserved_concurrency
from conducto_core.machines.model import MachineClass, Rung
from conducto_core.machines.rules import read_machines

# ----------------------------------------------------------------------------------------
# Results of checks, and how they are printed.


class Status(StrEnum):
    """How a check went; `SKIPPED` ones could not be made because another failed."""

    OK = "ok"
    WARNING = "warn"
    FAILED = "fail"
    SKIPPED = "skip"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found.

    Attributes:
        name: Of the check.
        text: The result.
        remedy: What to do about it.
    """

    name: str
    status: Status
    text: str
    remedy: str | None = None

    def as_document(self) -> dict[str, str | None]:
        return {**asdict(self), "status": self.status.value}


def is_failed(findings: Sequence[CheckResult]) -> bool:
    """Return whether one of them is in the way."""
    return any(finding.status is Status.FAILED for finding in findings)


def lines(findings: Sequence[CheckResult], width: int = 0) -> Iterator[str]:
    """Yield the lines that tell them, remedies below what they are for.

    Args:
        width: Columns for the names, where longer ones do not need more.
    """
    width = max(width, *(len(finding.name) for finding in findings), 0)
    for finding in findings:
        yield f"{finding.status.value:<4}  {finding.name:<{width}}  {printable(finding.text)}"
        for line in (finding.remedy or "").splitlines():
            yield f"      {'':<{width}}  {printable(line)}"


#: CDK's command line runs with older ones, and says at each start that it will not for long.
NODE_LEAST = 22
#: Lambda has these; the functions run on the version that packages them.
PYTHON_LEAST, MAX_PYTHON = (3, 11), (3, 14)
#: Versions of Lambda whose operating system is Amazon Linux 2.
_OLD_RUNTIMES = frozenset({(3, 11)})
#: Where ``cdk bootstrap`` writes down that it was here.
BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
BOOTSTRAP_LEAST = 21
BOOTSTRAP = "bootstrap"
NO_REGION = "no AWS region is configured"
NO_REGION_REMEDY = "say --region, or set AWS_REGION, or run: aws configure"
#: vCPUs below which a launch soon waits for others.
QUOTA_MODEST = 6.0
_FARGATE_CODE, _SPOT_CODE = "L-3032A538", "L-36FBB829"
#: Concurrent builds of the environment in which images are built (Linux/Small).
_BUILDS_CODE = "L-9D07B6EF"
#: Functions at once below which a handful of people notice; AWS's usual quota is 1,000.
FUNCTIONS_MODEST = 100
_FUNCTIONS_CODE = "L-B99A9384"


def machine_findings(machine: Machine) -> Iterator[CheckResult]:
    """Yield checks of the programs on this machine that deploying needs."""
    yield _python(machine.python())
    yield _packages(machine)
    yield _node(machine.node())
    yield _cdk(machine)
    yield _docker(machine.docker())


def account_findings(account: AwsAccount, stage: str) -> Iterator[CheckResult]:
    """Yield checks of the account; without credentials those that need some are skipped."""
    region = account.region
    yield _region(region)
    credentials = guarded("credentials", lambda: _credentials(account))
    yield credentials
    others: dict[str, Callable[[], CheckResult]] = {
        BOOTSTRAP: lambda: _bootstrap(account),
        "fargate quota": lambda: _fargate_quota(account),
        "lambda quota": lambda: _function_quota(account, stage),
        "build quota": lambda: _build_quota(account, region or ""),
        "stacks": lambda: _stacks(account, stage),
    }
    for name, check in others.items():
        if region is None or credentials.status is not Status.OK:
            yield CheckResult(name, Status.SKIPPED, "cannot be asked for without the above")
        else:
            yield guarded(name, check)


def guarded(name: str, check: Callable[[], CheckResult]) -> CheckResult:
    """Return the result of a check; one that may not be made is a warning."""
    try:
        return check()
    except AccountError as error:
        status = Status.WARNING if error.is_denied else Status.FAILED
        return CheckResult(name, status, str(error), error.remedy)


# ---- this machine -----------------------------------------------------------------------------


def _python(version: tuple[int, int]) -> CheckResult:
    text = "{}.{}".format(*version)
    if version in _OLD_RUNTIMES:
        text = f"{text}; the functions will run on it too, in Lambda on Amazon Linux 2"
        return CheckResult(
            "python", Status.WARNING, text, "install Conducto with Python 3.13: Amazon Linux 2023"
        )
    if PYTHON_LEAST <= version <= MAX_PYTHON:
        return CheckResult("python", Status.OK, f"{text}; the functions will run on it too")
    remedy = "install Conducto with Python {}.{} to {}.{}".format(*PYTHON_LEAST, *MAX_PYTHON)
    return CheckResult("python", Status.FAILED, f"{text}, which Lambda does not have", remedy)


def _packages(machine: Machine) -> CheckResult:
    missing = machine.missing_packages()
    if not missing:
        return CheckResult("packages", Status.OK, "CDK and Chalice are installed")
    text = f"not installed: {', '.join(missing)}"
    return CheckResult("packages", Status.FAILED, text, install_command("deploy"))


def _node(version: str | None) -> CheckResult:
    remedy = (
        f"install Node {NODE_LEAST} or later, on which CDK runs; npm has it as a package: "
        f"npm install --global node@{NODE_LEAST}"
    )
    if version is None:
        return CheckResult("node", Status.FAILED, "Node is not installed", remedy)
    major = version.partition(".")[0]
    if major.isdigit() and int(major) >= NODE_LEAST:
        return CheckResult("node", Status.OK, version)
    return CheckResult("node", Status.FAILED, f"{version} is too old", remedy)


def _cdk(machine: Machine) -> CheckResult:
    cdk = machine.cdk()
    if cdk is None:
        text = "neither cdk nor npx is installed"
        return CheckResult(
            "cdk", Status.FAILED, text, "install npm, or: npm install --global aws-cdk"
        )
    return CheckResult("cdk", Status.OK, cdk.how)


def _docker(version: str | None) -> CheckResult:
    if version is not None:
        return CheckResult(
            "docker", Status.OK, f"{version}; it can build the image of the workers' agent"
        )
    text = "no container engine responds; CodeBuild builds the image of the workers' agent"
    return CheckResult("docker", Status.WARNING, text)


# ---- the account ------------------------------------------------------------------------------


def _region(region: str | None) -> CheckResult:
    if region is not None:
        return CheckResult("region", Status.OK, region)
    return CheckResult("region", Status.FAILED, NO_REGION, NO_REGION_REMEDY)


def _credentials(account: AwsAccount) -> CheckResult:
    caller = account.caller()
    return CheckResult("credentials", Status.OK, f"account {caller.account}, as {caller.arn}")


def _bootstrap(account: AwsAccount) -> CheckResult:
    version = account.parameter(BOOTSTRAP_PARAMETER)
    if version is not None and version.isdigit() and int(version) >= BOOTSTRAP_LEAST:
        return CheckResult(BOOTSTRAP, Status.OK, f"version {version}")
    have = "CDK was never here" if version is None else f"CDK's own stack is of version {version}"
    remedy = "'conducto deploy' offers to do it; or: cdk bootstrap"
    return CheckResult(BOOTSTRAP, Status.WARNING, f"{have} in this account and region", remedy)


def _more(service: str, code: str, value: int) -> str:
    """Return how to request a higher quota."""
    return (
        "request more, which takes hours to days: aws service-quotas "
        f"request-service-quota-increase --service-code {service} --quota-code {code} "
        f"--desired-value {value}"
    )


def _fargate_quota(account: AwsAccount) -> CheckResult:
    name = "fargate quota"
    cpus = account.quota("fargate", _FARGATE_CODE)
    remedy = _more("fargate", _FARGATE_CODE, 64)
    if cpus < 1:
        text = f"{cpus:g} vCPUs may run in {account.region}: no worker could start"
        return CheckResult(name, Status.FAILED, text, f"{remedy}\nor choose another --region")
    if cpus < QUOTA_MODEST:
        text = f"only {cpus:g} vCPUs may run at once; nodes above that wait"
        return CheckResult(name, Status.WARNING, text, remedy)
    return CheckResult(name, Status.OK, f"{cpus:g} vCPUs at once")


def function_room(account: AwsAccount, stage: str) -> int:
    """Return how many functions may run at once, less what other functions reserve."""
    return account.function_room([function_name(stage, name) for name in RESERVED])


def _function_quota(account: AwsAccount, stage: str) -> CheckResult:
    functions = function_room(account, stage)
    if reserved_concurrency(functions):
        return CheckResult("lambda quota", Status.OK, f"{functions} functions at once")
    text = (
        f"only {functions} functions may run at once, too few to reserve some for signing in: "
        "launches and copies of data can make all requests wait"
    )
    if functions < FUNCTIONS_MODEST:
        text = (
            f"only {functions} functions may run at once, as in a new account; with a few users "
            "and workers, requests are refused and retried"
        )
    console = f"https://console.aws.amazon.com/servicequotas/home/services/lambda/quotas/{_FUNCTIONS_CODE}"
    remedy = f"{_more('lambda', _FUNCTIONS_CODE, 1000)}\nor: {console}"
    return CheckResult("lambda quota", Status.WARNING, text, remedy)


def _build_quota(account: AwsAccount, region: str) -> CheckResult:
    name = "build quota"
    if region in WITHOUT_BUILDS:
        return CheckResult(name, Status.SKIPPED, f"{region} has no CodeBuild")
    builds = account.quota("codebuild", _BUILDS_CODE)
    if builds >= 1:
        return CheckResult(name, Status.OK, f"{builds:g} image builds at once")
    text = "no image build may run, as in some new accounts; the installation builds no images"
    remedy = f"{_more('codebuild', _BUILDS_CODE, 10)}\nuntil then, launch with --build local"
    return CheckResult(name, Status.WARNING, text, remedy)


def spot_quota(account: AwsAccount) -> CheckResult:
    """Return whether Spot workers can start, which the setting ``spot_share`` asks for."""
    cpus = account.quota("fargate", _SPOT_CODE)
    if cpus >= QUOTA_MODEST:
        return CheckResult("spot quota", Status.OK, f"{cpus:g} Spot vCPUs at once")
    text = f"only {cpus:g} Spot vCPUs may run at once; Spot workers above that wait"
    return CheckResult("spot quota", Status.WARNING, text, _more("fargate", _SPOT_CODE, 64))


#: ``{kind of instance type: {way to buy: code of the quota}}``, in vCPUs at once.
_MACHINE_QUOTAS = {
    "G and VT": {Rung.ON_DEMAND: "L-DB2E81BA", Rung.SPOT: "L-3819A6DF"},
    "P": {Rung.ON_DEMAND: "L-417A185B", Rung.SPOT: "L-7212CCBC"},
    "standard": {Rung.ON_DEMAND: "L-1216C47A", Rung.SPOT: "L-34B43A08"},
}
_QUOTA_KINDS = {"g": "G and VT", "p": "P"}


def machine_quotas(account: AwsAccount, text: str) -> Iterator[CheckResult]:
    """Yield whether the machines of each declared class can start, by the quotas of EC2."""
    try:
        classes = read_machines(text)
    except ValueError as error:
        yield CheckResult("machines", Status.FAILED, str(error), "correct -c machines")
        return
    for machine in classes.values():
        for rung in machine.rungs:
            name = f"machine {machine.name}"
            yield guarded(name, partial(_machine_quota, account, name, machine, rung))


def _machine_quota(
    account: AwsAccount, name: str, machine: MachineClass, rung: Rung
) -> CheckResult:
    least = min(machine.types, key=lambda each: each.cpu)
    kind = _QUOTA_KINDS.get(least.name[0], "standard")
    code = _MACHINE_QUOTAS[kind][rung]
    cpus = account.quota("ec2", code)
    console = f"https://console.aws.amazon.com/servicequotas/home/services/ec2/quotas/{code}"
    remedy = f"{_more('ec2', code, least.cpu * 4)}\nor: {console}"
    text = f"{cpus:g} vCPUs of {kind} instances {rung.label} at once"
    if cpus < least.cpu:
        why = f"{text}, as in new accounts: no {least.name} ({least.cpu} vCPUs) could start"
        return CheckResult(name, Status.FAILED, why, remedy)
    return CheckResult(name, Status.OK, f"{text}, for {int(cpus // least.cpu)} {least.name}")


def _stacks(account: AwsAccount, stage: str) -> CheckResult:
    known = {name: account.stack_status(stack_name(stage, name)) for name in STACKS}
    for name, status in known.items():
        problem = _trouble(stack_name(stage, name), status)
        if problem is not None:
            return problem
    present = [name for name, status in known.items() if status is not None]
    text = f"deployed: {', '.join(present)}" if present else f"stage {stage!r} is not deployed"
    return CheckResult("stacks", Status.OK, text)


def _trouble(stack: str, status: str | None) -> CheckResult | None:
    """Return the fault of a stack, or None."""
    text = f"{stack} is {status}"
    if status is None or status in _FINE:
        return None
    if status in FAILED_FIRST:
        remedy = "'conducto deploy' removes its remains and deploys it again"
        return CheckResult("stacks", Status.WARNING, f"{text}: its first deployment failed", remedy)
    if status.endswith("_IN_PROGRESS"):
        remedy = "wait until the other deployment has ended"
        return CheckResult("stacks", Status.FAILED, f"{text}: it is being changed", remedy)
    remedy = f"aws cloudformation continue-update-rollback --stack-name {stack}"
    if status == "DELETE_FAILED":
        remedy = f"see why: aws cloudformation describe-stack-events --stack-name {stack}"
    return CheckResult("stacks", Status.FAILED, text, remedy)


_FINE = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
        "REVIEW_IN_PROGRESS",  # a change set that was never executed
        "DELETE_COMPLETE",
    }
)
#: States of a stack whose first deployment failed; it was never used.
FAILED_FIRST = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"})
