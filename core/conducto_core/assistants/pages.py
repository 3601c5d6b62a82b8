"""The packaged documentation, and a search in it without a network."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

#: Characters of a section that a search returns.
_SHOWN = 1500
#: Words of fewer letters say nothing.
_SHORT = 3
_LEFT_OUT = frozenset({"decisions"})
#: Weight of a word in a heading, and in the name of the page.
_HEADING, _NAME = 6.0, 4.0


class Section(NamedTuple):
    """A section of a page.

    Attributes:
        page: Path of the page below ``docs``.
        title: Its heading.
    """

    page: str
    title: str
    body: str

    def text(self) -> str:
        """Return the section for a reader, shortened."""
        more = "…" if len(self.body) > _SHOWN else ""
        return f"docs/{self.page}: {self.title}\n{self.body[:_SHOWN]}{more}"


def folder() -> Path:
    """Return the directory of the pages: beside the package, or in a checkout."""
    package = Path(__file__).parents[1]
    packaged = package.parent / "conducto_files" / "docs"
    return packaged if packaged.is_dir() else package.parents[1] / "docs"


def search(query: str, limit: int = 5) -> list[Section]:
    """Return the sections that fit best, the best first; only those with each long word."""
    words = [word for word in query.lower().replace("`", " ").split() if len(word) >= _SHORT]
    words = words or query.lower().split()
    found = [(_score(section, words), section) for section in sections()]
    best = sorted((one for one in found if one[0] > 0), key=lambda one: -one[0])
    return [section for _, section in best[:limit]]


def _score(section: Section, words: list[str]) -> float:
    body, title, page = section.body.lower(), section.title.lower(), section.page.lower()
    if not words or not all(word in body or word in title or word in page for word in words):
        return 0.0
    score = 0.0
    for word in words:
        score += min(body.count(word), 5) * 1000 / (1000 + len(body))
        score += _HEADING * (word in title) + _NAME * (word in page)
    return score


@cache
def sections() -> tuple[Section, ...]:
    return tuple(section for page in all_pages() for section in _sections(page))


def all_pages() -> list[Path]:
    """Return the files of all pages but the decisions."""
    found = sorted(folder().rglob("*.md"))
    return [one for one in found if _LEFT_OUT.isdisjoint(one.relative_to(folder()).parts)]


def _sections(page: Path) -> Iterator[Section]:
    name = page.relative_to(folder()).as_posix()
    lines: list[str] = []
    title, is_code = name, False
    for line in page.read_text(encoding="utf-8").splitlines():
        is_code ^= line.startswith("```")
        if line.startswith("#") and not is_code:
            if lines:
                yield Section(name, title, "\n".join(lines).strip())
            title, lines = line.lstrip("# "), []
        else:
            lines.append(line)
    if lines:
        yield Section(name, title, "\n".join(lines).strip())
