"""The GitHub App of an organisation: it sends webhooks and gives tokens to triggers."""

from typing import Literal

from pydantic import Field

from conducto_core.model.base import Record
from conducto_core.model.triggers import RepositoryUrl

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
