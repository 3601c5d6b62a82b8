"""The call of a program's function that made a tree.

Its definition is part of the launch form (`conducto.script.program` writes it). Values of
parameters are the words that they are on a command line.
"""

from typing import Any

from conducto_core.model.base import Record


class ProgramParameter(Record):
    """A parameter of a function.

    Attributes:
        type: JSON schema of its values; empty for one that takes any text.
        label: The type for people, as in ``--help``.
        default: The default; None if it has none, or one that cannot be written.
        required: It has no default.
        secret: Its name is that of a secret, so its values are not recorded.
        keyword_only: It can only be given by name.
    """

    name: str
    type: dict[str, Any] = {}
    label: str = "text"
    help: str = ""
    default: str | None = None
    required: bool = False
    secret: bool = False
    keyword_only: bool = False


class Repository(Record):
    """The place of a script in a git repository.

    Attributes:
        url: URL of the remote ``origin``, without credentials.
        path: Path of the script in the repository.
    """

    url: str
    commit: str
    path: str
    branch: str | None = None


class ProgramCall(Record):
    """The call that made a tree.

    Attributes:
        command: The words of the command line before the arguments: interpreter, script, function.
        directory: The working directory.
        digest: SHA-256 of the script.
        title: The title that the command line sets.
        arguments: ``{parameter: value}`` of those that were given.
        withheld: Parameters whose values were given and not recorded: secrets, and values that have
            no text or a very long one.
        rest: Values for ``*args``; if there are any, all values were given in order.
    """

    function: str
    script: str
    command: tuple[str, ...]
    directory: str
    digest: str | None = None
    repository: Repository | None = None
    title: str | None = None
    parameters: tuple[ProgramParameter, ...] = ()
    arguments: dict[str, str] = {}
    withheld: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
