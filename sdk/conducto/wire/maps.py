"""The options of a map: a group whose children are commands for the items of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

if TYPE_CHECKING:
    from typing import Any, Dict

#: Key of a printed tree in which results are those that the command that printed it declares.
GIVEN = "given_results"
#: Ways to handle an item without a result; without a choice, it is an error.
MISSING = ("none", "drop")


class MapOptions(NamedTuple):
    """The options of a map.

    Attributes:
        min_done: Share of the items that must be done; 1 is all of them.
        missing: One of `MISSING`, or None.
    """

    min_done: float = 1.0
    missing: Optional[str] = None

    def to_wire(self) -> Dict[str, Any]:
        """Return the options that differ from the defaults."""
        defaults = MapOptions()._asdict()
        return {name: value for name, value in self._asdict().items() if value != defaults[name]}


def to_options(value: Any) -> MapOptions:
    """Return the options of the wire form.

    Raises:
        ValueError: an option is invalid.
    """
    if not isinstance(value, dict) or not set(value) <= set(MapOptions._fields):
        raise ValueError(f"map must have {' and '.join(MapOptions._fields)}, got {value!r}")
    options = MapOptions(**value)
    share: Any = options.min_done
    missing = options.missing
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise ValueError(
            f"min_done must be a share of the items from 0 to 1, such as 0.95, got {share!r}"
        )
    if missing is not None and missing not in MISSING:
        raise ValueError(
            f'missing must be "none", for None in the place of the result, or "drop", got '
            f"{missing!r}"
        )
    return options


def why_incomplete(options: MapOptions) -> Optional[str]:
    """Return why the results of a map may be incomplete, or None."""
    if options.min_done == 1 or options.missing is not None:
        return None
    return (
        f"which may lack some, because of min_done={options.min_done:g}; give the map "
        'missing="none" or missing="drop"'
    )
