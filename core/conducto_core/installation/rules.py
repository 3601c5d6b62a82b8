"""Which parts of an installation a region of AWS, and its settings, allow."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from conducto.wire.fields import ARM
from conducto_core.machines.rules import read_machines
from conducto_core.secrets.rules import ORG_PART, read_prefixes

#: Regions in which CloudFormation has no ``AWS::Budgets::Budget``, by AWS's published schemas.
WITHOUT_BUDGETS = frozenset(
    {
        "af-south-1",
        "ap-east-1",
        "ap-east-2",
        "ap-northeast-3",
        "ap-south-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-west-1",
        "eu-central-2",
        "eu-north-1",
        "eu-south-1",
        "eu-south-2",
        "il-central-1",
        "me-central-1",
        "mx-central-1",
        "us-gov-east-1",
        "us-gov-west-1",
    }
)
#: Regions in which CloudFormation has no ``AWS::S3Files::FileSystem``, by AWS's published schemas.
WITHOUT_S3_FILES = frozenset({"me-central-1"})
#: Regions without CodeBuild.
WITHOUT_BUILDS = frozenset({"ap-east-2", "ca-west-1", "mx-central-1"})
#: Regions in which CodeBuild has machines with ARM processors (``ARM_CONTAINER`` in its reference).
WITH_ARM_BUILDS = frozenset(
    {
        *("ap-northeast-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "eu-central-1"),
        *("eu-west-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-2"),
    }
)
#: Regions without CloudFront.
WITHOUT_SITE = frozenset({"us-gov-east-1", "us-gov-west-1"})
#: Words that Cognito rejects in the domain of a user pool, which contains the stage's name.
RESERVED_WORDS = ("amazon", "aws", "cognito")


#: Concurrent executions that are kept free for a function, and its maximum. Signing in and AWS's
#: events do not wait for others; launches and copies of data cannot take the whole quota.
RESERVED = MappingProxyType(
    {
        "authorize": 100,
        "task_stopped": 20,
        "execution_ended": 20,
        "build_ended": 5,
        "every_minute": 5,
        "every_day": 2,
        "background": 60,
        "data": 40,
    }
)
#: Concurrent executions that AWS requires to stay unreserved in an account.
UNRESERVED = 100
#: Values of the setting ``agent_build``.
CODEBUILD, DOCKER = "codebuild", "docker"


def reserved_concurrency(room: int) -> Mapping[str, int]:
    """Return the concurrency to reserve for functions; none if the account has too little.

    Args:
        room: Concurrent executions that no other function of the account and region has reserved.
    """
    return RESERVED if room - sum(RESERVED.values()) >= UNRESERVED else {}


def is_shared(settings: Mapping[str, str]) -> bool:
    """Return whether organisations that do not trust each other use the installation."""
    return settings.get("billing") == "true" or bool(settings.get("identity"))


def builds_agent(region: str, settings: Mapping[str, str]) -> bool:
    """Return whether CodeBuild builds the image of the workers' agent, not a container engine.

    It does so by default in a shared installation, because its image is then in a repository of the
    stage: workers could pull all images of CDK's repository.
    """
    if region in WITHOUT_BUILDS:
        return False
    chosen = settings.get("agent_build")
    return chosen == CODEBUILD if chosen else is_shared(settings)


def runs_arm(region: str, settings: Mapping[str, str]) -> bool:
    """Return whether workers may run on ARM: the agent's image is built for it.

    A container engine that deploys may not be able to build it, so that it does on request.
    """
    chosen = settings.get("arm")
    if chosen:
        return chosen == "true"
    return builds_agent(region, settings) and region in WITH_ARM_BUILDS


def opens_shells(settings: Mapping[str, str]) -> bool:
    """Return whether debug shells on workers are allowed: in a shared installation on request."""
    chosen = settings.get("remote_debug")
    return chosen == "true" if chosen else not is_shared(settings)


class Limitation(NamedTuple):
    """A part of an installation that its region or its settings do not allow.

    Attributes:
        name: The part.
        text: The reason and the consequence.
        remedy: What to do about it.
        is_refused: Whether nothing can be deployed with these settings.
    """

    name: str
    text: str
    remedy: str
    is_refused: bool = False


def limitations(region: str, stage: str, settings: Mapping[str, str]) -> Iterator[Limitation]:
    """Yield the missing parts of an installation in a region, and its impossible settings.

    Args:
        region: Name of the region.
        stage: Name of the installation.
        settings: Its settings (`conducto_core.installation.names.SETTINGS`).
    """
    if region in WITHOUT_BUILDS:
        yield Limitation(
            "image builds",
            f"{region} has no CodeBuild: the installation builds no images",
            "launch with --build local, which builds them on the machine that launches",
        )
    is_foreign = builds_agent(region, settings) and region not in WITH_ARM_BUILDS
    if is_foreign and settings.get("arm") == "true":
        yield Limitation(
            "arm",
            f"arm=true: CodeBuild has no ARM machines in {region}, which build the agent's image",
            "-c agent_build=docker builds it with the container engine that deploys, or deploy "
            "without -c arm",
            is_refused=True,
        )
    yield from _machines(region, settings)
    for name in ("buckets", "data") if region in WITHOUT_S3_FILES else ():
        if settings.get(name):
            yield Limitation(
                name,
                f"{name}: {region} has no S3 Files, which mounts buckets",
                f"deploy into another region, or without -c {name}",
                is_refused=True,
            )
    if region in WITHOUT_BUDGETS and settings.get("monthly_budget") != "off":
        yield Limitation(
            "budget",
            f"{region} has no AWS::Budgets::Budget: nobody is notified of spending",
            "create a budget in the console, which has them for all regions: "
            "https://console.aws.amazon.com/billing/home#/budgets; "
            "-c monthly_budget=off silences this",
        )
    if region in WITHOUT_SITE:
        yield from _without_site(region, settings)
    if is_shared(settings):
        yield from _weak_isolation(region, settings)
    if settings.get("identity") and not settings.get("ses_identity"):
        yield Limitation(
            "mail",
            "Cognito sends 50 messages a day: more people cannot confirm their address or choose a "
            "new password until the next day",
            "-c ses_identity= names an address or a domain of Amazon SES that sends the mail",
        )
    word = next((word for word in RESERVED_WORDS if word in stage), None)
    if word is not None and settings.get("identity"):
        yield Limitation(
            "identity",
            f"identity={settings['identity']} is not possible with the stage {stage!r}: Cognito "
            f"rejects domains with the word {word!r}",
            "deploy another --stage, or without -c identity",
            is_refused=True,
        )


def _machines(region: str, settings: Mapping[str, str]) -> Iterator[Limitation]:
    """Yield settings with which machine classes are impossible, or weaken the isolation."""
    if not settings.get("machines"):
        return
    if settings.get("public_ip") != "false":
        yield Limitation(
            "machines",
            "machines: tasks on Managed Instances have no public address, so that they reach "
            "neither Conducto's API nor registries in a network without NAT",
            "deploy into a network with private subnets and a NAT gateway: -c vpc_id= -c "
            "vpc_subnets= -c vpc_zones= -c public_ip=false",
            is_refused=True,
        )
    if settings.get("billing") == "true":
        yield Limitation(
            "machines",
            "machines: organisations pay for vCPUs and memory, and the price of a class is not "
            "known to plans",
            "deploy without -c machines, or without -c billing",
            is_refused=True,
        )
    try:
        classes = read_machines(settings["machines"]).values()
    except ValueError as error:
        yield Limitation("machines", f"machines: {error}", "correct -c machines", is_refused=True)
        return
    if not runs_arm(region, settings) and any(each.arch == ARM for each in classes):
        yield Limitation(
            "machines",
            "machines: a class has ARM processors, but the agent's image is not built for ARM",
            "-c arm=true, or a class of other types",
            is_refused=True,
        )
    if is_shared(settings) and any(each.may_be_shared for each in classes):
        yield Limitation(
            "isolation",
            "machines: the largest type of a class holds two workers of the smallest: two "
            "organisations can share a machine, and only their containers separate them",
            "declare a class for each size",
        )


def _weak_isolation(region: str, settings: Mapping[str, str]) -> Iterator[Limitation]:
    """Yield settings with which organisations of a shared installation can reach each other."""
    if opens_shells(settings):
        yield Limitation(
            "isolation",
            "remote_debug=true: a user of a debug shell gets a role that mounts the files of any "
            "pipeline whose access point is known, of any organisation",
            "-c remote_debug= turns debug shells off, the default with billing or identity",
        )
    if not builds_agent(region, settings):
        yield Limitation(
            "isolation",
            "the image of the workers' agent is in CDK's repository, so that any organisation can "
            "run images of the other CDK projects of this account and region",
            "keep no other CDK project here, or deploy in a region with CodeBuild"
            if region in WITHOUT_BUILDS
            else "-c agent_build= builds it with CodeBuild, the default with billing or identity",
        )
    stores = settings.get("secret_stores", "")
    if any(ORG_PART not in each for each in read_prefixes(stores)):
        yield Limitation(
            "isolation",
            f"secret_stores={stores}: commands of any organisation can read these secrets",
            f"write {ORG_PART} in each prefix, as in aws-sm:teams/{ORG_PART}/",
        )
    if "=" in settings.get("pull_through", ""):
        yield Limitation(
            "isolation",
            "pull_through has credentials: any organisation can pull the images that their account "
            "can read",
            "use an account at that registry that can read public images only",
        )


def _without_site(region: str, settings: Mapping[str, str]) -> Iterator[Limitation]:
    yield Limitation(
        "web app",
        f"{region} has no CloudFront, which serves the web app: the installation has none",
        "use the command line, for example conducto list and conducto show",
    )
    for name in ("domain", "identity"):
        if settings.get(name):
            yield Limitation(
                name,
                f"{name}={settings[name]} needs the web app, which {region} cannot have",
                f"deploy without -c {name}, or in another --region",
                is_refused=True,
            )
