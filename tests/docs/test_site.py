"""The documentation site: strict, complete, without requests to others, readable by programs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MKDOCS = Path(sys.executable).with_name("mkdocs")
#: Parts of a page that a browser fetches.
FETCHED = {"script": "src", "img": "src", "link": "href", "source": "src", "iframe": "src"}


class Document(HTMLParser):
    """The links, anchors and pictures of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.pictures: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors |= {value for key in ("id", "name") if (value := found.get(key))}
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))
        if tag == "img":
            self.pictures.append(found)
        if found.get(FETCHED.get(tag, "-")) and found.get("rel") not in ("canonical", "edit"):
            self.fetched.append(str(found[FETCHED[tag]]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site; a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [MKDOCS, "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Document]:
    return {path: Document(path.read_text()) for path in sorted(site.rglob("*.html"))}


def test_conducto_101_is_the_first_page(pages: dict[Path, Document], site: Path) -> None:
    assert '<h1 id="conducto-101">' in (site / "index.html").read_text()
    assert (site / "contents/index.html") in pages


def test_links_and_anchors_lead_somewhere(pages: dict[Path, Document], site: Path) -> None:
    broken = []
    for page, document in pages.items():
        for link in document.links if page.name != "404.html" else ():
            parts = urlsplit(link)
            if parts.scheme or not (parts.path or parts.fragment):
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            known = pages.get(target)
            wrong = parts.fragment and known and unquote(parts.fragment) not in known.anchors
            if not target.exists() or wrong:
                broken.append(f"{page.relative_to(site)}: {link}")

    assert broken == []


def test_a_page_requests_nothing_from_others(pages: dict[Path, Document], site: Path) -> None:
    foreign = {
        f"{page.relative_to(site)}: {address}"
        for page, document in pages.items()
        for address in document.fetched
        if urlsplit(address).netloc
    }

    assert foreign == set()


def test_pictures_have_alternative_texts_and_exist(pages: dict[Path, Document], site: Path) -> None:
    for page, document in pages.items():
        for picture in document.pictures:
            assert picture.get("alt"), f"{page.relative_to(site)}: {picture}"
            assert (page.parent / str(picture["src"])).exists()


@pytest.mark.parametrize("page", ["concepts/tree", "getting-started", "examples/hello"])
def test_a_page_is_also_markdown_at_the_same_address(site: Path, page: str) -> None:
    text = (site / f"{page}.md").read_text()

    assert (site / page / "index.html").exists()
    assert text.startswith("# ")


def test_programs_find_all_pages(site: Path) -> None:
    index = (site / "llms.txt").read_text()
    linked = re.findall(r"\]\(/?([^)]+\.md)\)", index)
    own = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")} - {"README.md"}

    assert own <= set(linked)
    assert [link for link in linked if not (site / link).exists()] == []
    full = (site / "llms-full.txt").read_text()
    assert [link for link in linked if f"<!-- {link} -->" not in full] == []


def test_openapi_document_is_served(site: Path) -> None:
    assert json.loads((site / "openapi.json").read_text())["openapi"].startswith("3.")


def test_schema_of_the_configuration_is_served(site: Path) -> None:
    assert json.loads((site / "conducto-cfg.schema.json").read_text())["title"] == ".conducto.cfg"


def test_film_and_pictures_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (DOCS / "images").rglob("*.*")}

    assert sizes.pop("film.webp") < 2_000_000
    assert max(sizes.values()) < 200_000
