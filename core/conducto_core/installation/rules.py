"""Which parts of an installation a region of AWS, and its settings, allow."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

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
#: Regions without CodeBuild.
WITHOUT_BUILDS = frozenset({"ap-east-2", "ca-west-1", "mx-central-1"})
#: Regions without CloudFront.
WITHOUT_SITE = frozenset({"us-gov-east-1", "us-gov-west-1"})
#: Words that Cognito rejects in the domain of a user pool, which contains the stage's name.
RESERVED_WORDS = ("amazon", "aws", "cognito")


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
    """Yield what an installation lacks in a region, and settings that are impossible there.

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
    word = next((word for word in RESERVED_WORDS if word in stage), None)
    if word is not None and settings.get("identity"):
        yield Limitation(
            "identity",
            f"identity={settings['identity']} is not possible with the stage {stage!r}: Cognito "
            f"rejects domains with the word {word!r}",
            "deploy another --stage, or without -c identity",
            is_refused=True,
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
