"""Interning of long texts, which are stored once per pipeline if they are in the cache.

The cache is in memory and limited: a text that was evicted is stored again. That is correct, and
cheaper than a lookup.
"""

from collections.abc import Callable, Mapping

from conducto_local.store.rows import env_text

#: Texts with at most this many characters are stored in the attempt's own row.
INLINE = 64

#: Limits of the cache; beyond them it is cleared.
_TEXTS = 8192
_CHARACTERS = 4 << 20

#: A text itself, or its number among the pipeline's texts.
Reference = str | int

_Key = str | tuple[tuple[str, str], ...]


class TextInterner:
    """Converts texts for attempts' rows, and collects the texts to store.

    Attributes:
        fresh: ``(pipeline, number, text)`` of texts that are not in the file yet.
    """

    def __init__(self, newest: Callable[[int], int]) -> None:
        """Start after the number that ``newest`` returns for a pipeline, 0 if it has no texts."""
        self.fresh: list[tuple[int, int, str]] = []
        self._newest = newest
        self._numbers: dict[int, int] = {}
        self._known: dict[tuple[int, _Key], Reference] = {}
        self._characters = 0

    def text(self, pipeline: int, text: str) -> Reference:
        """Return ``text`` itself if it is short, else its number."""
        if len(text) <= INLINE:
            return text
        found = self._known.get((pipeline, text))
        return self._store(pipeline, text, text) if found is None else found

    def optional(self, pipeline: int, text: str | None) -> Reference | None:
        """Return the result of `text`, or None for None."""
        return None if text is None else self.text(pipeline, text)

    def env(self, pipeline: int, env: Mapping[str, str]) -> Reference | None:
        """Return the result of `text` for an environment, None for an empty one."""
        if not env:
            return None
        key = tuple(env.items())
        found = self._known.get((pipeline, key))
        return self._store(pipeline, key, env_text(env)) if found is None else found

    def forget(self) -> None:
        """Clear the cache after a rollback."""
        self.fresh.clear()
        self._numbers.clear()
        self._forget_texts()

    def _store(self, pipeline: int, key: _Key, text: str) -> Reference:
        if len(self._known) >= _TEXTS or self._characters > _CHARACTERS:
            self._forget_texts()
        reference: Reference = text
        if len(text) > INLINE:
            reference = self._next_number(pipeline)
            self.fresh.append((pipeline, reference, text))
        self._known[pipeline, key] = reference
        self._characters += len(text)
        return reference

    def _next_number(self, pipeline: int) -> int:
        last = self._numbers.get(pipeline)
        number = (self._newest(pipeline) if last is None else last) + 1
        self._numbers[pipeline] = number
        return number

    def _forget_texts(self) -> None:
        self._known.clear()
        self._characters = 0
