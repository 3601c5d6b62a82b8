"""`Approve`: a node that waits for a person."""

from __future__ import annotations

from conducto.tree.nodes import Exec
from conducto.wire.approvals import check_message, check_who, to_wire
from conducto.wire.fields import parse_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Mapping, Union

_PARAMETERS = frozenset(
    [
        "name",
        "doc",
        "skip",
        "run_if",
        "suppress_errors",
        "callback_data",
        "title",
        "tags",
        "file",
        "line",
    ]
)


class Approve(Exec):
    """A node that waits until a person approves or rejects it.

    It runs no command and occupies no container. For its parent it is an Exec: done if it is
    approved, in error if it is rejected. With ``fields``, the values that the person gives are its
    result, which later nodes use as ``approve.result``.

    Attributes:
        message: What the person decides about.
        who: Roles (``member``, ``admin``, ``owner``) and user ids of the deciders; empty for every
            user with the permission to control the pipeline.
        timeout: Seconds, or a text such as ``"2d"``, after which the node fails; None for no limit.
    """

    __slots__ = ()

    def __init__(
        self,
        message: str,
        *,
        who: Union[str, Iterable[str], None] = None,
        timeout: Union[float, str, None] = None,
        fields: Union[Mapping[str, Any], None] = None,
        **params: Any,
    ) -> None:
        """Create the node.

        Args:
            message: What the person decides about.
            who: A role or user id, or a list of them.
            timeout: Seconds or a text after which the node fails.
            fields: ``{name: type}`` of the values that the person gives: ``str``, ``int``,
                ``float``, ``bool``, a default value of one of these, or a list of choices.
            **params: ``name``, ``doc``, ``skip``, ``run_if``, ``suppress_errors``.

        Raises:
            TypeError: a parameter of commands, such as ``cpu``.
            ValueError: the message is empty, ``who`` is not a list of names or an empty one, a
                field is invalid, or ``timeout`` is not a duration above 0.
        """
        for name in params:
            if name not in _PARAMETERS:
                raise TypeError(f"an approval runs no command, so it has no parameter {name!r}")
        super().__init__("", **params)
        self.approval = {"message": check_message(message), "who": check_who(who)}
        if fields:
            self.approval["fields"] = to_wire(fields)
        if timeout is not None:
            parse_duration(timeout, "timeout")
        self.max_time = timeout

    @property
    def message(self) -> str:
        """What the person decides about."""
        message: str = self.approval["message"]  # type: ignore[index]
        return message

    @property
    def who(self) -> List[str]:
        """Roles and user ids of the deciders; empty for every user."""
        who: List[str] = self.approval["who"]  # type: ignore[index]
        return who

    @property
    def fields(self) -> List[Dict[str, Any]]:
        """The fields of the form, with ``name``, ``type``, ``choices`` and ``default``."""
        return list(self.approval.get("fields", ()))  # type: ignore[union-attr]

    @property
    def timeout(self) -> Union[float, str, None]:
        """Seconds or a text after which the node fails; None for no limit."""
        return self.max_time
