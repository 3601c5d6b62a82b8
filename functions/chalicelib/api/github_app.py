"""The operations on the GitHub App of the caller's organisation."""

import asyncio
from functools import cached_property

from chalicelib.ports.identity import Identity
from chalicelib.services.github_app import GithubAppSetup
from chalicelib.services.processor import CommandProcessor
from conducto_core.model import github_app as g


class CloudGithubApp:
    """The GitHub App of one organisation, with the permissions of one caller."""

    _engine: CommandProcessor
    _me: Identity

    @cached_property
    def _app(self) -> GithubAppSetup:
        return GithubAppSetup(self._engine.cloud, self._me)

    async def get_github_app(self) -> g.GithubAppView:
        """Return the App."""
        return await asyncio.to_thread(self._app.view)

    async def start_github_app(self, request: g.GithubAppRequest) -> g.GithubAppStart:
        """Return the form that creates an App."""
        return await asyncio.to_thread(self._app.start, request)

    async def finish_github_app(self, request: g.GithubAppCode) -> g.GithubApp:
        """Store the keys of the App that was created."""
        return await asyncio.to_thread(self._app.finish, request)

    async def delete_github_app(self) -> g.GithubAppView:
        """Forget the App."""
        return await asyncio.to_thread(self._app.delete)
