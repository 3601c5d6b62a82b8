"""Numbers and switches in the agent's environment."""

from collections.abc import Mapping


class AgentSettingError(ValueError):
    """A variable of the agent has an invalid value; the message has its name and the remedy."""


def number_in(
    env: Mapping[str, str], name: str, *, default: float, meaning: str, or_zero: bool = False
) -> float:
    """Return the number in a variable, or ``default`` if it is unset or empty."""
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
    """Return whether a variable is ``on``, or ``default`` if it is unset or empty.

    Raises:
        AgentSettingError: It is neither ``on`` nor ``off``.
    """
    text = env.get(name, "")
    if not text:
        return default
    if text.lower() not in ("on", "off"):
        raise AgentSettingError(f"{name} must be on or off, got {text!r}; correct it or unset it")
    return text.lower() == "on"
