"""The base class of every record that is sent or stored."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1

#: Names of organisations and users are parts of keys and appear in ECS.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class Record(BaseModel):
    """A frozen record that rejects unknown fields.

    Validation errors do not quote the input: it may be a secret, and errors are logged.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True
    )
