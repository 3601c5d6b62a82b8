"""Hooks of the documentation site (``mkdocs.yml``): the pages are the repository's Markdown.

They read the navigation from ``docs/README.md``, add the Markdown outside of ``docs/`` and the
scripts of the examples, point links to their pages, and write each page as ``.md``, ``llms.txt``
and ``llms-full.txt``.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
#: Documents for programs, from ``tests/golden``, which tests compare with the code.
DOCUMENTS = ("openapi.json", "conducto-cfg.schema.json")
#: The first page of the site.
FIRST = "conducto-101.md"
CONTENTS = "README.md"
#: ``{page of the site: file of the repository}`` outside of ``docs/``.
ELSEWHERE = {
    "project/changelog.md": "CHANGELOG.md",
    "project/architecture.md": "ARCHITECTURE.md",
    "project/contributing.md": "CONTRIBUTING.md",
    "project/security.md": "SECURITY.md",
    "project/conduct.md": "CODE_OF_CONDUCT.md",
    "project/benchmarks.md": "bench/README.md",
    **{
        f"examples/{script.parent.name}.md": f"examples/{script.parent.name}/README.md"
        for script in sorted(ROOT.glob("examples/*/pipeline.py"))
    },
}
_PAGES = {source: page for page, source in ELSEWHERE.items()}
#: Links to folders lead to the page that lists them.
_FOLDERS = {"docs": CONTENTS, "docs/decisions": CONTENTS, "examples": "examples.md"}
_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"^(?:\| |- )\[([^\]]+)\]\(([^)#]+\.md)\)(?: \| |:? )?(.*?)[ |]*$")


# ---- navigation ------------------------------------------------------------------------------


def sections() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Yield the name of each section of the contents, and title, page and topics of its pages."""
    name, pages = "Start", [("Conducto 101", FIRST, "the whole of Conducto on one page")]
    for line in (ROOT / "docs" / CONTENTS).read_text(encoding="utf-8").splitlines():
        head = re.fullmatch(r"## (.+)|(\w[\w ,]+):", line)
        if head is not None:
            if pages:
                yield name, pages
            name, pages = head[1] or head[2], []
        entry = _ENTRY.match(line)
        if entry is not None and entry[2] != FIRST:
            title = f"{entry[1]} {entry[3]}" if entry[1].isdigit() else entry[1]
            pages.append((title, entry[2], entry[3].rstrip(".")))
    yield name, pages
    yield (
        "Examples",
        [(page[9:-3].replace("_", " "), page, "") for page in ELSEWHERE if "examples/" in page],
    )
    project = [page for page in ELSEWHERE if page.startswith("project/")]
    yield "Project", [(page[8:-3].capitalize(), page, "") for page in project]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    nav: list[Any] = [
        {name: [{title: page} for title, page, _ in pages]} for name, pages in sections()
    ]
    nav[0]["Start"].append({"All pages": CONTENTS})
    config.nav = nav
    if not config.repo_url:
        config.edit_uri = None
    return config


# ---- pages -----------------------------------------------------------------------------------


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for page, source in ELSEWHERE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for document in DOCUMENTS:
        path = str(ROOT / "tests/golden" / document)
        files.append(File.generated(config, document, abs_src_path=path))
    for name, target in ((CONTENTS, "contents/index.html"), (FIRST, "index.html")):
        found = files.get_file_from_path(name)
        assert found is not None
        found.dest_uri = target
        vars(found).pop("url", None)
    return files


def _source(page: str) -> str:
    """Return the path of a page's file in the repository."""
    return ELSEWHERE.get(page, f"docs/{page}")


def _link(page: str, target: str, repository: str) -> str:
    """Return a link of a page, as it is in the site."""
    path, _, anchor = target.partition("#")
    if "://" in target or not path or target.startswith("mailto:"):
        return target
    found = posixpath.normpath(posixpath.join(posixpath.dirname(_source(page)), path))
    inside = _PAGES.get(found) or (found[5:] if found.startswith("docs/") else None)
    if found == "README.md":
        inside = FIRST
    elif found in _FOLDERS:
        inside = _FOLDERS[found]
    if inside is None:
        if not (ROOT / found).exists():
            return target
        # A file that the site lacks, such as a script.
        return f"{repository.rstrip('/')}/blob/main/{found}" if repository else "#"
    link = posixpath.relpath(inside, posixpath.dirname(page) or ".")
    return f"{link}#{anchor}" if anchor else link


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    name = page.file.src_uri
    repository = config.repo_url or ""
    source = _source(name)
    if source.startswith("examples/"):
        scripts = sorted((ROOT / source).parent.glob("*.py"))
        scripts.sort(key=lambda script: script.name != "pipeline.py")
        for script in scripts:
            text = script.read_text(encoding="utf-8").rstrip()
            markdown += f"\n\n## {script.name}\n\n```python\n{text}\n```\n"
    if name in ELSEWHERE:
        page.edit_url = None
    fences: list[str] = []

    def keep(match: re.Match[str]) -> str:
        fences.append(match[0])
        return f"\0{len(fences) - 1}\0"

    text = _FENCE.sub(keep, markdown)
    text = _LINK.sub(lambda m: f"{m[1]}{_link(name, m[2], repository)}{m[3]}", text)
    # GitHub begins a list without an empty line before it.
    text = re.sub(r"\0(\d+)\0", lambda m: fences[int(m[1])], text)
    page.meta["markdown"] = text
    return text


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:  # noqa: ARG001
    """Name the theme's search dialog for screen readers."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"')


# ---- for programs ----------------------------------------------------------------------------


def on_nav(nav: Any, config: MkDocsConfig, files: Files) -> None:  # noqa: ARG001
    config.extra["pages"] = list(nav.pages)


def on_post_build(config: MkDocsConfig) -> None:
    site = Path(config.site_dir)
    base = (config.site_url or "").rstrip("/")
    texts = []
    for page in config.extra["pages"]:
        text = page.meta.get("markdown")
        target = site / page.file.src_uri
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        texts.append(f"<!-- {page.file.src_uri} -->\n\n{text.strip()}\n")
    shutil.copyfile(site / FIRST, site / "index.md")
    (site / "llms-full.txt").write_text("\n".join(texts), encoding="utf-8")
    lines = [f"# {config.site_name}", "", f"> {config.site_description}"]
    for name, pages in sections():
        lines += ["", f"## {name}", ""]
        lines += [
            f"- [{title}]({base}/{page}){f': {about}' if about else ''}"
            for title, page, about in pages
        ]
    (site / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
