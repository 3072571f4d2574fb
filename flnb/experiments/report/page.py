"""A report as one file: its parts under their headings, in HTML that asks nobody for anything."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from flnb.core.cards import Html, bundle, escape
from flnb.core.errors import StoreError
from flnb.experiments.report.elements import Section
from flnb.experiments.report.style import CSS
from flnb.store.disk import room_at

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a browser may do with the page: draw it. No script runs, whatever names say; nothing is fetched."""
_HEIGHT_PX = 720


def page(
    over: str, title: str, lead: Html, sections: Sequence[Section], *, written: datetime
) -> str:
    """Put a report together.

    Args:
        over: What kind of report it is, in two or three words.
        title: What it is about.
        lead: What a reader sees first.
        sections: The rest.
        written: When.
    """
    links = "".join(
        f'<li><a href="#{escape(one.anchor)}">{escape(one.title)}</a></li>' for one in sections
    )
    body = "".join(
        f'<section id="{escape(one.anchor)}"><h2>{escape(one.title)}</h2>{one.content}</section>'
        for one in sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="generator" content="flnb {escape(version("flnb"))}">'
        f"<title>{escape(title)} · {escape(over)} · flnb</title><style>{CSS}</style></head><body>"
        f'<header><p class="over">{escape(over)}</p><h1>{escape(title)}</h1>{lead}'
        f'<nav aria-label="Contents"><ul>{links}</ul></nav></header><main>{body}</main>'
        f"<footer>Written by flnb {escape(version('flnb'))} on {written:%Y-%m-%d at %H:%M} UTC. "
        "Each number in this file carries all its digits, in the value of its element.</footer></body></html>\n"
    )


@dataclass(frozen=True, slots=True)
class Framed:
    """A report as an output of a cell: in a frame, so that neither styles the other."""

    title: str
    markup: str
    """The whole page."""

    def __repr__(self) -> str:
        """What it is."""
        return self.title

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        frame = (
            f'<iframe title="{escape(self.title)}" sandbox srcdoc="{escape(self.markup)}" '
            f'style="width:100%;height:{_HEIGHT_PX}px;border:1px solid #8884"></iframe>'
        )
        return bundle(self.title, frame)


def save(markup: str, path: str | Path) -> Path:
    """Write a report, whole or not at all; one of before is replaced.

    Args:
        markup: The page.
        path: Where; folders that are missing are made.

    Returns:
        Where it lies.

    Raises:
        StorageFullError: The disk is full.
        StoreError: The file cannot be written.
    """
    target = Path(path)
    draft = target.with_name(f".{target.name}-{secrets.token_hex(8)}")
    with _writable(target), room_at(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_text(markup, encoding="utf-8")
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    return target


@contextlib.contextmanager
def _writable(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{target} cannot be written: {error.strerror}",
            hint="name a file in a folder that may be written, such as report.html",
        ) from error
