"""The base of every record that goes over a wire or into a store."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1


class Record(BaseModel):
    """A frozen record that refuses fields it does not know.

    What is wrong with one is told without what it was given: that may be a secret, and errors are
    logged.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True
    )
