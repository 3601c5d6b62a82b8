"""What a launch in the cloud says of the files that its images are made of.

The launching machine reads them (`conducto_core.images.sources`); directories are uploaded by
themselves and are known here by their content hash.
"""

from typing import Annotated

from pydantic import Field

from conducto_core.model.base import Record

#: Content hash of a directory (`conducto_core.images.contexts.upload_hash`).
ContextHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
#: Bytes of a Dockerfile's text, and of one file that says what npm installs, in base64.
_MOST_TEXT = 1 << 20
_MOST_FILE = 8 << 20


class CloneSource(Record):
    """A commit of a git repository; ``url`` may hold a password, which nothing shows."""

    url: str = Field(max_length=4096, repr=False)
    branch: str = Field(max_length=1024)
    commit: str = Field(pattern=r"^[0-9a-f]{40,64}$")


class ImageSources(Record):
    """`conducto_core.images.build_plan.Sources` as it is sent.

    Attributes:
        npm_files: ``{name: content in base64}``.
    """

    dockerfile: str | None = Field(default=None, max_length=_MOST_TEXT)
    dockerfile_name: str | None = Field(default=None, max_length=4096)
    context: ContextHash | None = None
    code: ContextHash | None = None
    clone: CloneSource | None = None
    code_env: dict[str, str] = {}
    npm_files: dict[str, Annotated[str, Field(max_length=_MOST_FILE)]] = {}
