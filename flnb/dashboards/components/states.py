"""The states that every view has: loading, empty, stale, offline, store, finished, denied."""

from __future__ import annotations

from flnb.core.cards import Html, escape

_ADMINS = "An admin of the lab can give it: <code>flnb token NAME --role {role}</code>."


def loading(what: str, height: int = 160) -> Html:
    """A place of the size that will be filled."""
    return Html(
        f'<div class="skeleton" style="height:{height}px" role="status" '
        f'aria-label="Loading {escape(what)}"></div>'
        f'<p class="quiet late">Waiting for {escape(what)}.</p>'
    )


def empty(what: str, command: str = "") -> Html:
    """What will be shown here, and the one command that fills it."""
    how = f"<pre>{escape(command)}</pre>" if command else ""
    return Html(f'<div class="empty"><p>{escape(what)}</p>{how}</div>')


def denied(what: str, role: str) -> Html:
    """Which role is needed, and who can give it."""
    return Html(
        f'<div class="empty"><p><b>{escape(what)} is for {escape(role)}s.</b></p>'
        f'<p class="quiet">{_ADMINS.format(role=escape(role))}</p></div>'
    )


def note(text: str, kind: str = "") -> Html:
    """A line that says something about the whole page."""
    return Html(f'<div class="note {kind}" role="status">{escape(text)}</div>')


def signed_out() -> Html:
    """That somebody is signed in no more, by his own will or not."""
    return Html(
        '<div class="empty"><p><b>You are signed out.</b> You signed out in this browser, twelve hours are '
        "over, or your token expired or was revoked.</p>"
        '<p><a href="sign-in">Sign in again</a></p></div>'
    )
