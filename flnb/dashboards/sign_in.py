"""The pages on which people sign in and out: plain HTML, without scripts and without anything from outside."""

from __future__ import annotations

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · flnb</title><style>
:root { color-scheme: light dark; --ground: #f6f7f9; --paper: #fff; --ink: #1c2128; --quiet: #57606a; --line: #d0d7de; --accent: #0b66a8; --on: #fff; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ground: #0d1117; --paper: #161b22; --ink: #e6edf3; --quiet: #a9b3be; --line: #30363d; --accent: #6cb6f0; --on: #0c1116; --bad: #ff8f87; } }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
main { width: min(400px, calc(100vw - 32px)); box-sizing: border-box; background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 32px; }
h1 { font-size: 22px; line-height: 32px; margin: 0 0 8px; } p { margin: 0 0 16px; color: var(--quiet); }
label { display: block; font-weight: 600; margin-bottom: 8px; }
input { width: 100%; box-sizing: border-box; font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; }
button { width: 100%; margin-top: 16px; font: inherit; font-weight: 600; color: var(--on); background: var(--accent); border: 0; border-radius: 8px; padding: 10px 12px; cursor: pointer; }
a.way { display: block; text-align: center; font-weight: 600; color: var(--accent); text-decoration: none; border: 1px solid var(--accent); border-radius: 8px; padding: 9px 12px; } p.or { margin: 16px 0 8px; }
input:focus-visible, button:focus-visible, a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.bad { color: var(--bad); overflow-wrap: anywhere; } code { font: 13px ui-monospace, Menlo, Consolas, monospace; color: var(--ink); }
</style></head><body><main>
{body}
</main></body></html>
"""
_SIGN_IN = """<h1>Sign in to flnb</h1>
<p>With a token or a pass of this lab. An admin makes one with <code>flnb token NAME</code>; on this machine, <code>flnb ui LAB</code> prints a link that signs you in.</p>
{problem}
{way_in}
<form method="post" action="{action}"><input type="hidden" name="next" value="{after}">
<label for="token">Token or pass</label>
<input id="token" name="token" type="password" autocomplete="off" autofocus required>
<button type="submit">Sign in</button></form>"""
_SIGN_OUT = """<h1>Sign out of flnb</h1>
<p>This browser is signed in until you sign out, or for twelve hours.</p>
<form method="post" action="{action}"><button type="submit">Sign out</button></form>"""


_WAY_IN = """<a class="way" href="{link}">Sign in with {name}</a>
<p class="or">or with a token or a pass:</p>"""


def sign_in_page(
    action: str, after: str, problem: str = "", way_in: tuple[str, str] | None = None
) -> str:
    """The page with the form for a token.

    Args:
        action: Where the form goes.
        after: Where somebody goes who is in.
        problem: Why it did not work the last time.
        way_in: Address and name of another way to sign in.

    Returns:
        HTML; what comes in must have been escaped.
    """
    said = f'<p class="bad" role="alert">{problem}</p>' if problem else ""
    form = _SIGN_IN.replace("{problem}", said).replace("{action}", action)
    other = _WAY_IN.replace("{link}", way_in[0]).replace("{name}", way_in[1]) if way_in else ""
    form = form.replace("{way_in}", other)
    return _page("Sign in", form.replace("{after}", after))


def sign_out_page(action: str) -> str:
    """The page with the button that signs out.

    Args:
        action: Where it goes; must have been escaped.
    """
    return _page("Sign out", _SIGN_OUT.replace("{action}", action))


def _page(title: str, body: str) -> str:
    return _PAGE.replace("{title}", title).replace("{body}", body)
