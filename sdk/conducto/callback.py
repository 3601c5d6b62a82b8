"""Reactions to changes of a node's state: ``co.callback``.

Pass a callback to one of a node's event hooks:

>>> import conducto as co
>>> node = co.Exec("flaky.sh")                           # doctest: +SKIP
>>> node.on_error(co.callback.retry(3))                  # doctest: +SKIP

Every constructor, except ``deserialize_into_node``, also accepts ``inherited`` (it applies to
everything below the node) and ``user_display`` (the web app lists it).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, List, Optional, Union

    Addresses = Union[str, Sequence[str], None]


class base:  # noqa: N801 - the name is part of the public API
    """A callback by name.

    Attributes:
        name: Its name; the runner knows the names of this module.
        kwargs: Its parameters; they may include a node.
        inherited: Whether it applies to every node below.
        user_display: Whether the list of a node's callbacks shows it.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        self.name = name
        self.kwargs = kwargs
        self.inherited = bool(kwargs.get("inherited", False))
        self.user_display = bool(kwargs.get("user_display", True))

    def to_literal(self) -> List[Any]:
        """Return the wire form ``[name, {parameter: value}]``, a node as its path.

        It is created on demand, since a node's path changes while a tree is built.
        """
        return [self.name, {key: _literal(value) for key, value in self.kwargs.items()}]

    def __repr__(self) -> str:
        parameters = ", ".join(f"{key}={_literal(value)!r}" for key, value in self.kwargs.items())
        return f"co.callback.{self.name}({parameters})"


def retry(max_num_retries: int, *, inherited: bool = False, user_display: bool = True) -> base:
    """Return a callback that runs a failed Exec again, up to ``max_num_retries`` times."""
    _check_count("retry", "max_num_retries", max_num_retries)
    return _create("retry", inherited, user_display, max_num_retries=max_num_retries)


def retry_then_skip(
    max_num_retries: int, *, inherited: bool = False, user_display: bool = True
) -> base:
    """Return a callback that retries, and skips the node if all retries fail."""
    _check_count("retry_then_skip", "max_num_retries", max_num_retries)
    return _create("retry_then_skip", inherited, user_display, max_num_retries=max_num_retries)


def retry_with_double_mem(
    max_num_retries: int, *, inherited: bool = False, user_display: bool = True
) -> base:
    """Return a callback that retries, each time with twice the memory."""
    _check_count("retry_with_double_mem", "max_num_retries", max_num_retries)
    return _create(
        "retry_with_double_mem", inherited, user_display, max_num_retries=max_num_retries
    )


def skip_some_errors(
    max_num_errors: int, *, inherited: bool = False, user_display: bool = True
) -> base:
    """Return a callback that tolerates up to ``max_num_errors`` failed Execs in a group.

    They are skipped and the group continues; with more, the group fails as usual.
    """
    _check_count("skip_some_errors", "max_num_errors", max_num_errors)
    return _create("skip_some_errors", inherited, user_display, max_num_errors=max_num_errors)


def handle_memory_errors(
    mem_limits: Sequence[float] = (8, 32),
    max_duration: float = 3600,
    *,
    inherited: bool = False,
    user_display: bool = True,
) -> base:
    """Return a callback that retries an Exec that ran out of memory, with more of it.

    Args:
        mem_limits: The memory of the first retry, the second, and so on, in GB.
        max_duration: Longest attempt, in seconds, that is retried.
        inherited: It applies to every node below.
        user_display: The web app lists it.
    """
    name = "handle_memory_errors"
    if not isinstance(mem_limits, (list, tuple)) or not mem_limits:
        raise ValueError(
            f"co.callback.{name}: mem_limits must be a list of sizes in GB, got {mem_limits!r}"
        )
    for limit in mem_limits:
        _check_positive(name, "each of mem_limits", limit)
    limits = list(mem_limits)
    _check_positive("handle_memory_errors", "max_duration", max_duration)
    return _create(
        "handle_memory_errors",
        inherited,
        user_display,
        mem_limits=limits,
        max_duration=max_duration,
    )


def email(
    to: Addresses = None,
    cc: Addresses = None,
    *,
    inherited: bool = False,
    user_display: bool = True,
) -> base:
    """Return a callback that mails the node's state; by default to the pipeline's owner."""
    _check_addresses("to", to)
    _check_addresses("cc", cc)
    return _create("email", inherited, user_display, to=to, cc=cc)


def slack_status(
    recipient: str,
    message: Optional[str] = None,
    node_summary: bool = False,
    *,
    inherited: bool = False,
    user_display: bool = True,
) -> base:
    """Return a callback that posts the node's state to Slack.

    Args:
        recipient: Channel (``#name``) or user (``@name`` or an e-mail address).
        message: Additional text.
        node_summary: Add the states of the nodes below.
        inherited: It applies to every node below.
        user_display: The web app lists it.
    """
    _check_text("slack_status", "recipient", recipient)
    return _create(
        "slack_status",
        inherited,
        user_display,
        recipient=recipient,
        message=message,
        node_summary=node_summary,
    )


def github_status(
    url: str, sha: str, *, inherited: bool = False, user_display: bool = True
) -> base:
    """Return a callback that reports the node as a status of a commit on GitHub."""
    _check_text("github_status", "url", url)
    _check_text("github_status", "sha", sha)
    return _create("github_status", inherited, user_display, url=url, sha=sha)


def github_pipeline_status(
    url: str, sha: str, *, inherited: bool = False, user_display: bool = True
) -> base:
    """Return a callback that reports the whole pipeline as a status of a commit on GitHub."""
    _check_text("github_pipeline_status", "url", url)
    _check_text("github_pipeline_status", "sha", sha)
    return _create("github_pipeline_status", inherited, user_display, url=url, sha=sha)


def deserialize_into_node(target: object) -> base:
    """Return the callback of a Lazy: the tree that a command printed becomes ``target``."""
    return base("deserialize_into_node", target=target)


def _create(name: str, inherited: bool, user_display: bool, **kwargs: Any) -> base:
    return base(name, **kwargs, inherited=inherited, user_display=user_display)


def _literal(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_literal(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str, dict)):
        return value
    return str(value)


def _check_count(name: str, parameter: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(
            f"co.callback.{name}: {parameter} must be a whole number from 0 up, got {value!r}"
        )


def _check_positive(name: str, parameter: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError(f"co.callback.{name}: {parameter} must be above 0, got {value!r}")


def _check_text(name: str, parameter: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"co.callback.{name}: {parameter} must be a text, got {value!r}")


def _check_addresses(parameter: str, value: object) -> None:
    if value is None:
        return
    addresses = value if isinstance(value, (list, tuple)) else [value]
    for address in addresses:
        if not isinstance(address, str) or "@" not in address:
            raise ValueError(
                f"co.callback.email: {parameter} must be an e-mail address or a list of "
                f"them, got {value!r}"
            )
