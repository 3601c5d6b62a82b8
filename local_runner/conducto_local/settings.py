"""Numbers and switches that the agent reads in its environment."""

from collections.abc import Mapping


class AgentSettingError(ValueError):
    """A variable that the agent reads holds nonsense; the message says which and what to do."""


def number_in(
    env: Mapping[str, str], name: str, *, default: float, meaning: str, or_zero: bool = False
) -> float:
    """Return the number that a variable holds, ``default`` where it is not set or empty.

    Args:
        env: The environment.
        name: The variable.
        default: What holds without it.
        meaning: What it must be, for the message: "a number above 0".
        or_zero: 0 is such a number, too.

    Raises:
        AgentSettingError: it holds something else.
    """
    text = env.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if 0 < value < float("inf") or (or_zero and value == 0):
        return value
    raise AgentSettingError(f"{name} must be {meaning}, got {text!r}; correct it or unset it")


def switch_in(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Return whether a variable says ``on``, ``default`` where it is not set or empty.

    Raises:
        AgentSettingError: it says neither ``on`` nor ``off``.
    """
    text = env.get(name, "")
    if not text:
        return default
    if text.lower() not in ("on", "off"):
        raise AgentSettingError(f"{name} must be on or off, got {text!r}; correct it or unset it")
    return text.lower() == "on"
