"""The course of a deployment: checks, what a failed one left, CDK, the first token."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import conducto
from conducto.api import paths
from conducto.version import __version__, install_command
from conducto_cli.app.arguments import Ask
from conducto_cli.deploy import checks
from conducto_cli.deploy import checks as check_results
from conducto_cli.deploy.checks import NO_REGION, NO_REGION_REMEDY, CheckResult, Status
from conducto_cli.deploy.choices import pinned_zone, settings_findings
from conducto_cli.deploy.port import AccountError, AwsAccount, Cdk, Machine
from conducto_core.installation.model import (
    AdminResponse,
    InviteMember,
    ListTokens,
    MintToken,
    ShowVersion,
)
from conducto_core.installation.names import (
    FIXED_SETTINGS,
    LAYOUT,
    MONTHLY_BUDGET,
    STACKS,
    addresses_name,
    cluster_name,
    event_queue_prefix,
    event_rule_prefix,
    function_name,
    made_prefix,
    registry_prefix,
    secret_prefix,
    settings_name,
    stack_name,
    table_name,
)
from conducto_core.installation.rules import (
    CODEBUILD,
    WITHOUT_BUDGETS,
    WITHOUT_BUILDS,
    builds_agent,
)
from conducto_core.people.model import InvitationLink
from conducto_core.record import Record

# ----------------------------------------------------------------------------------------
# The directory that CDK runs in: a cdk.json that leads to the stacks of this installation.


class NoStacksError(Exception):
    """The stacks are not where this installation would have them."""


def root() -> Path:
    """Return the directory that holds ``infra`` and ``functions``.

    Raises:
        NoStacksError: there is none.
    """
    package = Path(next(iter(conducto.__path__))).resolve()
    # A wheel has them beside the package, a checkout above.
    for place in (package.parent / "conducto_deploy", package.parents[1]):
        if (place / "infra" / "main.py").is_file():
            return place
    raise NoStacksError("this installation of Conducto came without the stacks; reinstall it")


def write_project(stage: str, settings: Mapping[str, str], region: str | None) -> Path:
    """Write what CDK reads for a stage; return the directory.

    Args:
        settings: Of `conducto_core.installation.names.SETTINGS`.

    Raises:
        NoStacksError: there are no stacks here.
    """
    source = root()
    folder = Path(paths.base_dir()) / "deploy" / f"{stage}-{region or 'nowhere'}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = json.loads((source / "cdk.json").read_text("utf-8"))
    config["app"] = _quoted([sys.executable, str(source / "infra" / "main.py")])
    config["output"] = "cdk.out"
    config["context"] = {**config["context"], **settings, "stage": stage}
    (folder / "cdk.json").write_text(json.dumps(config, indent=2), "utf-8")
    return folder


def _quoted(words: list[str]) -> str:
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


#: Asks the user for a word; "" without a terminal or without a word.
Prompt = Callable[[str], str]
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

#: Default of a fixed setting (`infra.settings`).
_UNSAID = {"data": "efs", "zones": "1"}
_ECS = "ecs.amazonaws.com"
_VERSION = re.compile(r"(\d+(?:\.\d+)*)(.*)")
#: Suffixes of versions before a release, the oldest first (PEP 440).
_STEPS = (".dev", "a", "b", "rc")
#: Columns for the names of findings: those of the account are 13 long.
_NAMES = 13
_COMPLETE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
#: Stacks that the first token needs: without the others, commands work from the command line.
_NEEDED = ("network", "data", "compute", "api")


class DeployError(Exception):
    """Nothing more is done; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A deployment that the user requests.

    Attributes:
        stage: Name of the installation.
        settings: The given ones; the others keep their values.
        org: Of the first token.
        user: Of the first token.
        downgrade: Deploy also over a newer version.
    """

    stage: str
    settings: Mapping[str, str]
    org: str
    user: str
    downgrade: bool = False


@dataclass(frozen=True, slots=True)
class Deployed:
    """The result of a deployment.

    Attributes:
        url: Of the API.
        token: The first token; None: there are tokens already.
        tokens: Ids of the organisation's tokens.
        problem: Why stacks that the first token does not need are not deployed; the rest is.
        invitation: That of the first owner; None: there are tokens already, or no address is known.
    """

    url: str
    token: str | None = field(repr=False)
    tokens: tuple[str, ...] = ()
    problem: str | None = None
    invitation: InvitationLink | None = field(default=None, repr=False)


class Deployment:
    """Deploys to an account.

    Args:
        prompt: Asks the person for a word; None: nobody can be asked.
    """

    def __init__(
        self,
        account: AwsAccount,
        machine: Machine,
        ask: Ask,
        say: Callable[[str], None],
        prompt: Prompt | None = None,
    ) -> None:
        self._account = account
        self._machine = machine
        self._ask = ask
        self._say = say
        self._prompt = prompt or (lambda _: "")

    def deploy(self, wish: Wish) -> Deployed:
        """Bring an installation up, or up to date.

        Raises:
            DeployError: it cannot be.
            AccountError: AWS refuses something.
            NoStacksError: the stacks are not part of this installation of Conducto.
        """
        found = self._checked(wish.stage)
        self._check_version(wish)
        settings = self._settings(wish)
        folder = write_project(wish.stage, settings, self._account.region)
        cdk = self._machine.cdk()
        assert cdk is not None  # noqa: S101 (a check has seen it)
        if any(f.name == checks.BOOTSTRAP and f.status is not Status.OK for f in found):
            self._bootstrap(cdk, folder)
        self._clear(wish)
        self._create_service_role()
        try:
            self._run(cdk, folder, ["deploy", "--all", "--require-approval", "never"], wish.stage)
        except DeployError as error:
            missing = self._missing(wish.stage)
            if set(missing) & set(_NEEDED):
                raise
            names = ", ".join(stack_name(wish.stage, name) for name in missing)
            deployed = self._first_log_in(wish, settings.get("alarm_email", ""))
            return replace(deployed, problem=f"not deployed: {names}: {error}")
        return self._first_log_in(wish, settings.get("alarm_email", ""))

    # ---- before -------------------------------------------------------------------------------

    def _checked(self, stage: str) -> list[CheckResult]:
        found = [
            *checks.machine_findings(self._machine),
            *checks.account_findings(self._account, stage),
        ]
        self._report(found)
        return found

    def _report(self, found: Sequence[CheckResult]) -> None:
        """Tell findings.

        Raises:
            DeployError: one is in the way.
        """
        for line in check_results.lines(found, width=_NAMES):
            self._say(line)
        if check_results.is_failed(found):
            raise DeployError("nothing was deployed: fix the problems listed above")

    def _check_version(self, wish: Wish) -> None:
        """Reject replacing a newer version, unless ``--downgrade`` was given, and another layout.

        ``--yes`` does not include it: scripts pass it also after another user has upgraded.

        Raises:
            DeployError: the deployed version is newer, or its table has another layout.
        """
        if self._account.stack_status(stack_name(wish.stage, "api")) is None:
            return
        there, layout = self._version(wish.stage)
        if there is not None and layout != LAYOUT:
            raise DeployError(
                f"nothing was deployed: the table of stage {wish.stage!r} has the layout {layout}, "
                f"Conducto {__version__} needs the layout {LAYOUT}, and records are not converted; "
                f"deploy a new stage with: conducto deploy --stage {wish.stage}-{LAYOUT}"
            )
        if there is None or version_order(there) <= version_order(__version__):
            return
        text = f"stage {wish.stage!r} runs Conducto {there}, this is Conducto {__version__}"
        if not wish.downgrade:
            raise DeployError(
                f"nothing was deployed: {text}; {install_command('deploy', '--upgrade')} and "
                "deploy that, or say --downgrade to deploy this older version all the same"
            )
        self._say(f"{text}; records of a newer schema are refused until that version is back")

    def _version(self, stage: str) -> tuple[str | None, int]:
        """Return the version that is deployed, or None if it does not say, and its layout."""
        request = ShowVersion().model_dump_json().encode()
        try:
            payload = self._account.invoke(function_name(stage, "admin"), request)
        except AccountError:
            return None, LAYOUT  # a broken function must not block its repair
        response = json.loads(payload)  # a newer version's response may have other fields
        version = response.get("version") if isinstance(response, dict) else None
        return version if isinstance(version, str) else None, response.get("layout") or 1

    def _settings(self, wish: Wish) -> dict[str, str]:
        """Return the given settings and, for the rest, those of the last deployment.

        Raises:
            DeployError: a setting would change that an installation keeps for life.
        """
        text = self._account.parameter(settings_name(wish.stage))
        first = text is None
        settings = (
            dict(wish.settings) if text is None else self._merged_settings(wish, json.loads(text))
        )
        # A network without data is created again if it does not fit (`_clear`).
        is_new = first and bool(set(FIXED_SETTINGS) & set(wish.settings))
        settings |= pinned_zone(self._account, wish.stage, settings, is_new=is_new)
        settings |= self._agent_build(settings)
        self._report(list(settings_findings(self._account, wish.stage, settings, first=first)))
        if first and "alarm_email" not in settings and (address := self._address()):
            settings["alarm_email"] = address
        if not settings.get("alarm_email"):
            budget = settings.get("monthly_budget") or f"{MONTHLY_BUDGET:g}"
            unwatched = budget == "off" or self._account.region in WITHOUT_BUDGETS
            spending = "" if unwatched else f" or when the account spends ${budget} a month"
            self._say(
                f"nobody will be notified of alarms{spending}; name an address with "
                "-c alarm_email=ADDRESS"
            )
        return settings

    def _agent_build(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return the setting ``agent_build`` if there is no container engine here.

        Raises:
            DeployError: CodeBuild may not or cannot be used instead.
        """
        region = self._account.region or ""
        if self._machine.docker() is not None or builds_agent(region, settings):
            return {}
        if region in WITHOUT_BUILDS or settings.get("agent_build"):
            reason = "agent_build=docker" if settings.get("agent_build") else f"{region} lacks it"
            raise DeployError(
                "nothing was deployed: no container engine responds, and CodeBuild is not used for "
                f"the image of the workers' agent ({reason}); install Docker and start it"
            )
        self._say("CodeBuild builds the image of the workers' agent: agent_build=codebuild")
        return {"agent_build": CODEBUILD}

    def _address(self) -> str:
        """Return the address for alarms; "" for none."""
        question = "E-mail address for alarms and for spending (Enter: notify nobody):"
        address = self._prompt(question).strip()
        while address and _ADDRESS.fullmatch(address) is None:
            self._say(f"{address!r} is not an e-mail address, such as ops@example.org")
            address = self._prompt(question).strip()
        return address

    def _merged_settings(self, wish: Wish, before: Mapping[str, str]) -> dict[str, str]:
        """Return the given settings over the earlier ones.

        Raises:
            DeployError: see `_settings`.
        """
        before = {**before, **pinned_zone(self._account, wish.stage, before)}
        for name in FIXED_SETTINGS:
            old = before.get(name, "") or _UNSAID.get(name, "")
            new = wish.settings.get(name, old) or _UNSAID.get(name, "")
            if new != old:
                raise DeployError(
                    f"{name} was {old or 'not set'} when stage {wish.stage!r} was made, and holds "
                    f"for its life: with {new or 'none'} its files would stay behind; deploy "
                    "another --stage with it"
                )
        kept = {name: value for name, value in before.items() if name not in wish.settings}
        if kept:
            text = ", ".join(f"{name}={value}" for name, value in sorted(kept.items()))
            self._say(f"kept from the last deployment: {text}")
        return {**kept, **wish.settings}

    def _bootstrap(self, cdk: Cdk, folder: Path) -> None:
        caller, region = self._account.caller(), self._account.region
        place = f"aws://{caller.account}/{region}"
        question = (
            f"CDK needs a stack of its own in {place} (a bucket, a registry and roles; next to no "
            "cost). Make it now?"
        )
        if not self._ask(question):
            raise DeployError(
                f"nothing was deployed; first: {' '.join(cdk.words)} bootstrap {place}"
            )
        self._run(cdk, folder, ["bootstrap", place], None)

    def _create_service_role(self) -> None:
        """Create the role that ECS uses itself: in an account without it no cluster is created."""
        try:
            self._account.create_service_role(_ECS)
        except AccountError as error:  # the account may have it all the same
            self._say(
                f"{error}; if this account has never used ECS, first run: "
                f"aws iam create-service-linked-role --aws-service-name {_ECS}"
            )

    def _clear(self, wish: Wish) -> None:
        """Remove what a first deployment that failed left behind; it was never in use."""
        stage = wish.stage
        for name in reversed(STACKS):
            stack = stack_name(stage, name)
            if self._account.stack_status(stack) in checks.FAILED_FIRST:
                self._say(f"removing {stack}, whose first deployment failed")
                self._account.delete_stack(stack)
        if self._account.stack_status(stack_name(stage, "data")) is not None:
            return
        self._clear_table(table_name(stage))
        network = stack_name(stage, "network")
        if self._account.stack_status(network) and set(FIXED_SETTINGS) & set(wish.settings):
            # Nothing is in it, and CloudFormation cannot move a subnet to another zone.
            self._say(f"removing {network}, to make it as -c says")
            self._account.delete_stack(network)

    def _clear_table(self, table: str) -> None:
        """Delete a table without a stack, if it is empty: the next stack could not create it."""
        match self._account.table_is_empty(table):
            case True:  # it is protected, so it outlived its stack
                self._say(f"removing the empty table {table}, which no stack owns")
                self._account.delete_table(table)
            case False:
                raise DeployError(
                    f"the table {table} holds records, and no stack owns it; deploy another "
                    "--stage, or remove the table if nobody needs it: 'Removing' in docs/cloud.md"
                )
            case None:
                pass

    # ---- CDK ----------------------------------------------------------------------------------

    def _run(self, cdk: Cdk, folder: Path, words: Sequence[str], stage: str | None) -> None:
        region = self._account.region or ""
        environment = {
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            # The stacks are packaged by this Python, whatever the shell has activated.
            "PYTHONUNBUFFERED": "1",
        }
        self._say(f"{' '.join([*cdk.words, *words])}  (in {folder})")
        sys.stdout.flush()
        code = self._machine.run([*cdk.words, *words], folder, environment)
        if code == 0:
            return
        failures = [] if stage is None else self._failures(stage)
        text = "".join(f"\n  {failure}" for failure in failures)
        raise DeployError(
            f"'cdk {words[0]}' failed with exit code {code}{text}\n"
            "after removing the cause, run the same command again: it continues from there"
        )

    def _failures(self, stage: str) -> list[str]:
        try:
            found = [self._account.first_failure(stack_name(stage, name)) for name in STACKS]
        except AccountError:
            return []  # what CDK printed must do
        return [failure for failure in found if failure is not None]

    def _missing(self, stage: str) -> list[str]:
        """Return the stacks that are not deployed, or not completely."""
        return [
            name
            for name in STACKS
            if self._account.stack_status(stack_name(stage, name)) not in _COMPLETE
        ]

    # ---- after --------------------------------------------------------------------------------

    def _first_log_in(self, wish: Wish, email: str) -> Deployed:
        addresses = self._account.parameter(addresses_name(wish.stage))
        if addresses is None:
            raise DeployError("deployed, but its addresses are nowhere; run the same command again")
        url = str(json.loads(addresses)["api"])
        known = self._admin(wish.stage, ListTokens(org=wish.org))
        if known.tokens:
            return Deployed(url, None, tuple(token.id for token in known.tokens))
        # First: a token is shown only once, so nothing may fail after it was made.
        invitation = self._first_owner(wish, email)
        answer = self._admin(wish.stage, MintToken(org=wish.org, user=wish.user))
        return Deployed(url, answer.token, invitation=invitation)

    def _first_owner(self, wish: Wish, email: str) -> InvitationLink | None:
        if not email:
            return None
        request = InviteMember(org=wish.org, email=email, user=wish.user)
        return self._admin(wish.stage, request).invitation

    def _admin(self, stage: str, request: Record) -> AdminResponse:
        payload = self._account.invoke(
            function_name(stage, "admin"), request.model_dump_json().encode()
        )
        answer = AdminResponse.model_validate_json(payload)
        if answer.error is not None:
            raise DeployError(f"deployed, but no token could be made: {answer.error}")
        return answer


def version_order(version: str) -> tuple[tuple[int, ...], int, tuple[int, ...]]:
    """Return a sort key of a version: its numbers, then how far before a release it is."""
    found = _VERSION.match(version)
    if found is None:
        return ((), 0, ())
    numbers = [int(number) for number in found[1].split(".")]
    while numbers and numbers[-1] == 0:  # 1.0 is 1.0.0
        numbers.pop()
    step = next((n for n, word in enumerate(_STEPS) if found[2].startswith(word)), len(_STEPS))
    return (tuple(numbers), step, tuple(int(number) for number in re.findall(r"\d+", found[2])))


# ----------------------------------------------------------------------------------------
# Steps of a removal: stacks without data are deleted, the others stay and are listed.


#: Stacks that stay: a table, a bucket, files, and the network that reaches these.
KEPT = ("network", "data")
REMOVED = tuple(name for name in STACKS if name not in KEPT)


def remove(
    account: AwsAccount, ask: Ask, say: Callable[[str], None], stage: str, *, stop_workers: bool
) -> None:
    """Remove the stacks without data from an account; list the rest.

    Args:
        stop_workers: Also when workers run.

    Raises:
        DeployError: there is nothing, workers run, or the person changed their mind.
        AccountError: no region is configured, or AWS refuses something.
    """
    if account.region is None:
        raise AccountError(NO_REGION, NO_REGION_REMEDY)
    there = [n for n in STACKS if account.stack_status(stack_name(stage, n)) is not None]
    going = [name for name in REMOVED if name in there]
    if not there:
        raise DeployError(f"stage {stage!r} is not deployed in {account.region}")
    cluster = cluster_name(stage)
    tasks = account.running_tasks(cluster)
    if tasks and not stop_workers:
        raise DeployError(
            f"{len(tasks)} workers run in {cluster}; pause their pipelines and wait, or say "
            "--stop-workers"
        )
    if going:
        names = ", ".join(stack_name(stage, name) for name in going)
        what = f"{names}, images, and the queues and rules of triggers by events"
        if not ask(f"Remove {what}? Records, output, files, secrets stay."):
            raise DeployError("nothing was removed")
    for task in tasks:
        account.stop_task(cluster, task)
    _remove_events(account, say, stage)
    for name in reversed(going):
        say(f"removing {stack_name(stage, name)}")
        account.delete_stack(stack_name(stage, name))
    # Made while pipelines ran; images can be rebuilt, and caches fetched again.
    count = account.delete_repositories(registry_prefix(stage))
    if count:
        say(f"removed {count} repositories of images")
    for line in what_stays(stage):
        say(line)


def _remove_events(account: AwsAccount, say: Callable[[str], None], stage: str) -> None:
    """Remove what triggers made, before its function: AWS lists mappings of existing ones only."""
    rules, queues = event_rule_prefix(stage), event_queue_prefix(stage)
    count = account.delete_events(rules, queues, function_name(stage, "hook_event"))
    if count:
        say(
            f"removed {count} queues, mappings and rules of triggers; after another 'conducto "
            "deploy', create these triggers again"
        )


def what_stays(stage: str) -> Iterator[str]:
    """Yield lines about the remaining data and how to delete it."""
    data, network = (stack_name(stage, name) for name in ("data", "network"))
    yield ""
    yield "These stay, and 'conducto deploy' finds them again:"
    yield f"  {data:<24} table {table_name(stage)}, a bucket, a file system with its backups"
    yield f"  {network:<24} the network; without cost while nothing runs in it"
    yield f"  {secret_prefix(stage) + '*':<24} secrets, $0.40 a month each"
    made = f"{made_prefix(stage)}*"
    yield f"  {made:<24} state machines, activities and task definitions, without cost"
    yield "To delete the data for good, which nothing brings back, see 'Removing' in docs/cloud.md."
