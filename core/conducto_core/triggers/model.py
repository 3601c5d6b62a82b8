"""Git triggers: webhooks that launch pipelines by the file ``.conducto.cfg`` of a repository."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from conducto_core.record import ADDRESS_PATTERN, Dollars, Name, Record
from conducto_core.schedules.model import DAY, MAX_WINDOW

#: Maximum number of triggers of an organisation, and of deliveries in a list.
MAX_TRIGGERS = 100
MAX_DELIVERIES = 50
#: Maximum number of submodules for which a trigger lends its token.
MAX_SUBMODULES = 20
#: Maximum number of members whose login at GitHub a trigger knows.
MAX_PEOPLE = 100
#: The file of a repository that says what its events launch.
CONFIG_FILE = ".conducto.cfg"

Provider = Literal["github", "gitlab", "bitbucket", "gitea", "generic"]
#: Those whose comments are from people that a trigger may know.
_WITH_PEOPLE = frozenset({"github", "gitlab", "gitea"})
Forks = Literal["ignore", "approve"]
GithubLogin = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}(\[bot\])?$")]
RepositoryUrl = Annotated[str, Field(pattern=ADDRESS_PATTERN, max_length=500)]


class GitEventKind(StrEnum):
    """An event of a repository, as sections of ``.conducto.cfg`` name it."""

    PULL_REQUEST = "pr"
    PUSH = "push"
    CREATE_BRANCH = "create-branch"
    DELETE_BRANCH = "delete-branch"
    CREATE_TAG = "create-tag"
    DELETE_TAG = "delete-tag"
    MERGE_GROUP = "merge-group"
    COMMENT = "comment"
    CRON = "cron"
    CHECK = "check"


#: Events that have sections; the others act on pipelines.
SECTION_KINDS = frozenset(GitEventKind) - {GitEventKind.CHECK}


class GitEvent(Record):
    """An event of a repository.

    Attributes:
        url: Address of the repository that has the commit: of the fork for its pull requests.
        repository: ``owner/name`` of the repository of the trigger, which gets the status.
        branch: The branch or the tag.
        sha: The commit; empty for a deletion. Bitbucket sends its beginning for pull requests.
        user: Login of the person.
        number: Number of the pull request, or "".
        base_branch: Branch that a pull request or a merge queue would be merged into, or "".
        fork: It is a pull request from another repository.
        base: The commit or branch that the changed files are compared with, or "".
        user_id: Number of the person at the provider, or "".
        text: The command in a comment, or the button of a check.
        pipeline: Id of the pipeline of a check, or "".
    """

    kind: GitEventKind
    url: str
    repository: str
    branch: str
    sha: str = ""
    user: str = ""
    number: str = ""
    title: str = ""
    base_branch: str = ""
    fork: bool = False
    base: str = ""
    user_id: str = ""
    text: str = ""
    pipeline: str = ""


class TriggerParams(Record):
    """The name of a trigger."""

    name: Name


class DeliveryParams(TriggerParams):
    """A delivery of a trigger."""

    delivery: Annotated[str, Field(min_length=1, max_length=120)]


class TriggerRequest(Record):
    """A trigger.

    Attributes:
        repository: Address of the repository, such as ``https://github.com/acme/app``.
        api: Address of the provider's API, for a server of your own; None for the usual one.
        token: A token that may read the repository and set statuses; None keeps the stored one.
        forks: What a pull request from a fork does.
        command: What a generic trigger launches, as in a section of ``.conducto.cfg``; the other
            providers have the file.
        app: The GitHub App of the organisation sends the webhooks and gives the tokens.
        window: Seconds for which a launch waits for room in the plan.
        submodules: Addresses of submodules that are cloned with the token, too. Only administrators
            list them, because commits choose the submodules.
        people: ``{login at the provider: user}``: members whose comments and buttons of checks act
            with their permissions.
    """

    provider: Provider
    repository: RepositoryUrl
    command: str | None = Field(default=None, min_length=1, max_length=4000)
    api: RepositoryUrl | None = None
    token: str | None = Field(default=None, repr=False, min_length=1, max_length=1000)
    forks: Forks = "ignore"
    app: bool = False
    window: Annotated[float, Field(ge=60, le=MAX_WINDOW, allow_inf_nan=False)] = DAY
    submodules: tuple[RepositoryUrl, ...] = Field(default=(), max_length=MAX_SUBMODULES)
    budget: Dollars | None = None
    secret_set: str | None = Field(default=None, max_length=32)
    people: dict[GithubLogin, Name] = Field(default={}, max_length=MAX_PEOPLE)

    @model_validator(mode="after")
    def _knows_people(self) -> Self:
        if self.people and self.provider not in _WITH_PEOPLE:
            known = ", ".join(sorted(_WITH_PEOPLE))
            raise ValueError(f"people: only comments at {known} are from people")
        return self

    @model_validator(mode="after")
    def _of_the_app(self) -> Self:
        if self.app and self.provider != "github":
            raise ValueError("app: only repositories of GitHub have a GitHub App")
        if self.app and (self.token is not None or self.api is not None):
            raise ValueError("app: the GitHub App gives the token and the API; leave them out")
        return self

    @model_validator(mode="after")
    def _names_a_repository(self) -> Self:
        path = self.repository.partition("://")[2].partition("/")[2].strip("/")
        if self.provider != "generic" and "/" not in path:
            raise ValueError(
                "repository: write its address with owner and name, such as "
                "https://github.com/acme/app"
            )
        return self

    @model_validator(mode="after")
    def _has_a_command(self) -> Self:
        if (self.provider == "generic") != (self.command is not None):
            raise ValueError(
                "command: a generic trigger needs a command, and the others read it from "
                f"{CONFIG_FILE}"
            )
        return self


class TriggerPerson(Record):
    """A member at GitHub.

    Attributes:
        id: Number at GitHub, which stays when somebody else takes over the login.
        user: The member.
    """

    login: str
    id: str
    user: str


class Trigger(Record):
    """A stored trigger.

    Attributes:
        owner: The member whose current permissions launch the pipelines.
        has_token: Whether a token of the provider is stored.
        budget: Maximum cost in dollars of each of its pipelines; None: no maximum.
        secret_set: Set of secrets that its commands get; None: none.
        suspended: Its owner may not store it any more, so it launches nothing; not stored.
    """

    name: Name
    provider: Provider
    repository: str
    command: str | None = None
    api: str | None = None
    forks: Forks = "ignore"
    owner: str
    created: float
    has_token: bool = False
    app: bool = False
    window: float = DAY
    submodules: tuple[str, ...] = ()
    budget: float | None = None
    secret_set: str | None = None
    people: tuple[TriggerPerson, ...] = ()
    suspended: bool = False


class NewTrigger(Record):
    """A trigger that was stored, and what the provider needs.

    Attributes:
        hook_url: The address of the webhook; None if the GitHub App sends it.
        secret: The secret of the webhook, which is shown once; None if the GitHub App sends it.
    """

    trigger: Trigger
    hook_url: str | None = None
    secret: str | None = Field(default=None, repr=False)


class TriggerList(Record):
    """Triggers, by name."""

    triggers: tuple[Trigger, ...]


class DeliveryResult(StrEnum):
    """What a delivery did."""

    RECEIVED = "received"
    LAUNCHED = "launched"
    SKIPPED = "skipped"
    FAILED = "failed"
    DEFERRED = "deferred"
    QUEUED = "queued"
    ACTED = "acted"
    WAITING = "waiting for approval"


#: Results of deliveries that are tried again.
OPEN_RESULTS = frozenset({DeliveryResult.RECEIVED, DeliveryResult.DEFERRED, DeliveryResult.QUEUED})


class QueuedLaunch(Record):
    """The place of a launch that waits for room in the plan.

    Attributes:
        name: Its turn; turns sort by time.
        kept: When the launch was last tried.
    """

    name: str
    kept: float


class Delivery(Record):
    """A webhook that was received.

    Attributes:
        reason: Why it launched nothing.
        pipeline: Id of the pipeline that it launched.
        approved_by: The member who approved a pull request from a fork.
        turn: The time by which it has its turn among launches that wait for room in the plan.
    """

    id: str
    time: float
    event: GitEvent
    result: DeliveryResult = DeliveryResult.RECEIVED
    reason: str | None = None
    section: str | None = None
    pipeline: str | None = None
    approved_by: str | None = None
    turn: float | None = None


class TriggerTrial(Record):
    """A push to try.

    Attributes:
        branch: Its newest commit is tried.
    """

    branch: str = Field(default="main", min_length=1, max_length=250)


class TrialResult(Record):
    """What a push would launch now.

    Attributes:
        sha: The commit; empty if the provider cannot be asked for it.
        section: Section of ``.conducto.cfg``.
        reason: Why nothing would be launched.
    """

    branch: str
    sha: str = ""
    section: str | None = None
    command: str | None = None
    reason: str | None = None


class DeliveryList(Record):
    """The last deliveries of a trigger, the newest first."""

    deliveries: tuple[Delivery, ...]


# ----------------------------------------------------------------------------------------
# The GitHub App of an organisation: it sends webhooks and gives tokens to triggers.


#: GitHub's maximum length of an App's name.
MAX_APP_NAME = 34
#: Seconds in which a person creates an App after starting.
START_SECONDS = 3600.0


class GithubAppRequest(Record):
    """A GitHub App to create.

    Attributes:
        title: Name of the App, which is unique at GitHub.
        host: Address of GitHub, or of a server of your own.
        account: GitHub organisation that owns the App; None: the person who creates it.
        redirect: Address of the command line on the person's machine, to which GitHub sends them.
    """

    title: str = Field(min_length=1, max_length=MAX_APP_NAME, pattern=r"^[\w .-]+$")
    host: RepositoryUrl = "https://github.com"
    account: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,39}$")
    redirect: str = Field(pattern=r"^http://127\.0\.0\.1:\d{1,5}/$")


class GithubAppStart(Record):
    """What a browser posts to GitHub as a form, with the field ``manifest``.

    Attributes:
        address: Where it is posted.
        manifest: The description of the App, as JSON.
        state: Comes back with the code.
    """

    address: str
    manifest: str
    state: str = Field(repr=False)


class GithubAppCode(Record):
    """The code that GitHub sent, which is exchanged for the App's keys within an hour."""

    code: str = Field(pattern=r"^[\w-]{1,200}$", repr=False)
    state: str = Field(min_length=1, max_length=200, repr=False)


class GithubApp(Record):
    """The GitHub App of an organisation; its keys are kept with the secrets.

    Attributes:
        id: Number of the App at GitHub.
        slug: Its name in addresses.
        host: Address of GitHub.
        api: Address of its API.
        page: The App's page, on which it is installed.
        created_by: The administrator who created it.
    """

    name: Literal["github"] = "github"
    id: int
    slug: str
    host: str
    api: str
    page: str
    created_by: str
    created: float

    @property
    def install_page(self) -> str:
        """The page on which the App is given repositories."""
        return f"{self.page}/installations/new"


class GithubAppView(Record):
    """The GitHub App of the organisation, or None."""

    app: GithubApp | None = None
