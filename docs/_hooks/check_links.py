"""Check the built site: every internal link leads to a page and an anchor that exist, and nothing is loaded from afar.

Run as ``python docs/_hooks/check_links.py build/site``; exit status 1 if something is wrong. mkdocs checks the links of
the Markdown; this checks those of the finished pages, those of the theme and of the API reference included.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}
"""What a browser fetches by itself."""

NOT_LOADED = {"canonical", "prev", "next", "alternate"}
"""Kinds of `link` that only name another page."""


@dataclass
class Page(HTMLParser):
    """The links and anchors of one page."""

    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what the tag names."""
        values = dict(attrs)
        self.anchors |= {value for key in ("id", "name") if (value := values.get(key))}
        named = NOT_LOADED & set((values.get("rel") or "").split())
        for key, value in attrs:
            if value and (tag, key) in LOADED and not named:
                self.loaded.append(value)
            elif value and key == "href":
                self.links.append(value)


def read(root: Path) -> dict[Path, Page]:
    """Return every page of a site; `404.html` is left out, because its links depend on where the site lies."""
    found = {}
    for path in sorted(root.rglob("*.html")):
        if path.name != "404.html":
            page = found[path] = Page()
            page.feed(path.read_text(encoding="utf-8"))
    return found


def problems(root: Path) -> Iterator[str]:
    """Yield what is wrong, one line each."""
    root = root.resolve()
    known = read(root)
    if not known:
        yield f"{root}: no page"
    for path, page in known.items():
        where = path.relative_to(root)
        yield from (f"{where}: loads {url}" for url in page.loaded if _outside(url))
        for url in (*page.links, *page.loaded):
            if not _outside(url) and (said := _broken(url, path, known)):
                yield f"{where}: {url}: {said}"


def _outside(url: str) -> bool:
    parts = urlsplit(url)
    return bool(parts.netloc) or parts.scheme in {"mailto", "data", "javascript", "http", "https"}


def _broken(url: str, path: Path, known: dict[Path, Page]) -> str:
    parts = urlsplit(url)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return "no such file"
    anchor = unquote(parts.fragment)
    if anchor and target in known and anchor not in known[target].anchors:
        return "no such anchor"
    return ""


def main() -> int:
    """Print the problems of the site that the command line names."""
    found = list(problems(Path(sys.argv[1])))
    for line in found:
        print(line, file=sys.stderr)
    print(f"{len(read(Path(sys.argv[1])))} pages, {len(found)} broken links")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
