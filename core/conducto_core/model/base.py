"""The base class of every record that is sent or stored."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1


class Record(BaseModel):
    """A frozen record that rejects unknown fields.

    Validation errors do not quote the input: it may be a secret, and errors are logged.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True
    )
