"""The launch of a script in a Git repository, which the cloud clones."""

import shlex
from typing import Annotated

from pydantic import Field

from conducto_core.record import Record
from conducto_core.schedules.model import GitSource
from conducto_core.triggers.model import RepositoryUrl

#: The ref of a repository's default branch.
DEFAULT_REF = "HEAD"
_MAX_WORDS = 200
_Script = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^-/\s][^\s]*\.py$")]
_Word = Annotated[str, Field(max_length=10_000)]
_Ref = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"^[^-\s~^:?*\[\\][^\s~^:?*\[\\]*$")
]


class GitLaunch(Record):
    """A request to launch the pipeline of a script in a repository.

    Attributes:
        url: Address of the repository, without credentials.
        ref: A branch, a tag or the full hash of a commit; None for the default branch.
        script: Path of the script in the repository.
        arguments: The words after the script: a function and its parameters.
        image: The image in which the script runs; it has the packages that the script imports.
        run: Run the pipeline at once.
        title: Title of the pipeline; None for one with the repository, script and arguments.
    """

    url: RepositoryUrl
    ref: _Ref | None = None
    script: _Script = "pipeline.py"
    arguments: tuple[_Word, ...] = Field(default=(), max_length=_MAX_WORDS)
    image: Annotated[str, Field(min_length=1, max_length=300)] = "python:3.12-slim"
    run: bool = True
    title: Annotated[str | None, Field(min_length=1, max_length=200)] = None

    def source(self) -> GitSource:
        """Return the source of a schedule with the same launches."""
        command = shlex.join(("python", self.script, *self.arguments))
        ref = self.ref or DEFAULT_REF
        return GitSource(kind="git", url=self.url, ref=ref, command=command, image=self.image)
