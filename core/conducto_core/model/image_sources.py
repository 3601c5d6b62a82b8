"""The files of images in a launch request to the cloud.

The launching machine reads them (`conducto_core.images.sources`); directories are uploaded
separately and are identified here by their content hash.
"""

from typing import Annotated

from pydantic import Field

from conducto_core.model.base import Record

#: Content hash of a directory (`conducto_core.images.contexts.upload_hash`).
ContextHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
#: Maximum bytes of a Dockerfile's text, and of one input file of npm, in base64.
_MAX_TEXT = 1 << 20
_MAX_FILE = 8 << 20


class CloneSource(Record):
    """A commit of a git repository.

    Attributes:
        url: It may contain a password and is never shown.
        trigger: Git trigger whose token clones it when an image is built.
        user: User the token in whose secrets clones it when an image is built.
    """

    url: str = Field(max_length=4096, repr=False)
    branch: str = Field(max_length=1024)
    commit: str = Field(pattern=r"^[0-9a-f]{40,64}$")
    trigger: str | None = Field(default=None, max_length=100)
    user: str | None = Field(default=None, max_length=320)

    @property
    def is_lent(self) -> bool:
        """Whether a trigger or a user lends a token."""
        return self.trigger is not None or self.user is not None


class ImageSources(Record):
    """The wire form of `conducto_core.images.build_plan.Sources`.

    Attributes:
        npm_files: ``{name: content in base64}``.
    """

    dockerfile: str | None = Field(default=None, max_length=_MAX_TEXT)
    dockerfile_name: str | None = Field(default=None, max_length=4096)
    context: ContextHash | None = None
    code: ContextHash | None = None
    clone: CloneSource | None = None
    code_env: dict[str, str] = {}
    npm_files: dict[str, Annotated[str, Field(max_length=_MAX_FILE)]] = {}
