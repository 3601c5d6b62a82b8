"""The operation that launches from a Git repository."""

import shlex

from chalicelib.api.launching import CloudLaunches
from conducto_core.model.git_launch import GitLaunch
from conducto_core.model.requests import LaunchRequest, PipelineSummary
from conducto_core.semantics.schedules import git_form
from conducto_core.semantics.trigger_launch import repository_of

_MAX_TITLE = 200


class CloudGitLaunches(CloudLaunches):
    """Launches from repositories."""

    async def launch_from_git(
        self, request: GitLaunch, key: str | None = None, *, repeated: bool = False
    ) -> PipelineSummary:
        """Launch a Lazy that clones a repository and runs a script of it."""
        name = repository_of(request.url)
        words = shlex.join((request.script, *request.arguments))
        launch = LaunchRequest(
            tree=git_form(request.source()),
            title=request.title or f"{name} {words}"[:_MAX_TITLE],
            program=f"{name}/{request.script}",
            run=request.run,
        )
        return await self.launch(launch, key, repeated=repeated)
