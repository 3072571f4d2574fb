"""Whether a built page asks anybody for anything: a reader without a network sees all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

_LOADED = {
    "script": ("src",),
    "link": ("href",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "use": ("href", "xlink:href"),
    "image": ("href", "xlink:href"),
    "form": ("action",),
}
_NOT_LOADED = {"canonical", "next", "prev", "author", "license", "index", "search", "help"}
"""Links in the head that only say something."""
_ELSEWHERE = re.compile(r"^\s*(?:https?:)?//", re.IGNORECASE)
_IN_STYLES = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)


class _Loads(HTMLParser):
    """Gathers what a page would fetch from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at what a tag loads, and at its style."""
        given = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        if tag == "link" and set(given.get("rel", "").split()) & _NOT_LOADED:
            return
        values = [given.get(name, "") for name in _LOADED.get(tag, ())]
        self.found += [value for value in values if _ELSEWHERE.match(value)]
        self.found += _IN_STYLES.findall(given.get("style", ""))

    def handle_data(self, data: str) -> None:
        """Look into a style sheet that stands in the page."""
        if self._in_style:
            self.found += _IN_STYLES.findall(data)


def of_page(html: str) -> list[str]:
    """Addresses elsewhere that a page would load: scripts, styles, fonts, pictures, frames.

    Examples:
        >>> of_page('<a href="https://a.example">a link is not loaded</a><img src="x.png">')
        []
        >>> of_page('<script src="//cdn.example/x.js"></script>')
        ['//cdn.example/x.js']
    """
    reader = _Loads()
    reader.feed(html)
    return reader.found


def of_site(folder: Path) -> Iterator[tuple[Path, str]]:
    """Walk over everything that a built site would load from elsewhere, with the file that does."""
    for path in sorted(folder.rglob("*.html")):
        yield from ((path, found) for found in of_page(path.read_text(encoding="utf-8")))
    for path in sorted(folder.rglob("*.css")):
        found = _IN_STYLES.findall(path.read_text(encoding="utf-8"))
        yield from ((path, address) for address in found)
