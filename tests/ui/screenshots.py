"""Pictures of every page in every state: `python -m tests.ui.screenshots FOLDER`, or `make screenshots`.

196 of them take ten minutes on two busy cores. A second argument takes those alone whose name holds it, such as `running-`. Light and dark, as wide as a phone and as a desk; with an index.html to flip through them.
"""

import contextlib
import itertools
import sys
import tempfile
from html import escape
from pathlib import Path

from playwright.sync_api import sync_playwright

import flnb
from tests.ui.conftest import EXECUTABLE, sign_in
from tests.ui.places import Pages, coordinating, make_past
from tests.ui.test_live import token_of

QUERY = "sql?q=SELECT%20round%2C%20accepted%2C%20seconds_s%20FROM%20rounds%20ORDER%20BY%20round"
OF_PAST = {
    "overview": "",
    "rounds-finished": "rounds?run=finished",
    "rounds-failed": "rounds?run=failed",
    "clients": "clients?run=finished",
    "client": "client?run=finished&name=c-plain",
    "checkpoints": "checkpoints?run=finished&at=6&against=2",
    "compare": "compare?runs=finished,failed",
    "studies": "studies",
    "sql": QUERY,
    "system": "system",
}
OF_PRESENT = {
    "overview": "",
    "rounds": "rounds?run=running",
    "clients": "clients?run=running",
    "client": "client?run=running&name=c-plain",
    "checkpoints": "checkpoints?run=running",
    "compare": "compare?runs=running",
    "sql": QUERY,
    "system": "system",
}
PLAIN = ("", "rounds", "clients", "client", "checkpoints", "compare", "sql", "system")
WIDTHS, SCHEMES = {390: 844, 1440: 900}, ("light", "dark")
_SETTLED_MS, _WHOLE = 1200, 4000
_STYLE = """body { font: 14px system-ui; margin: 16px; background: #f6f7f9; color: #1c2128 }
h2 { font-size: 15px } section { display: flex; gap: 8px; align-items: flex-start; overflow-x: auto }
figure { margin: 0 } img { border: 1px solid #d9dee4; height: 480px } nav { position: sticky; top: 0; background: inherit }"""


class Camera:
    """Takes pictures of a page at every width in every scheme, into a folder."""

    def __init__(self, browser, folder, wanted=""):
        self._browser, self._folder, self._wanted = browser, folder, wanted

    def take(self, pages, state, paths, *, token=None, settled=True):
        """Take pages, by name, of a server in some state."""
        for name, path in paths.items():
            if self._wanted not in f"{state}-{name}":
                continue
            with contextlib.closing(self._browser.new_context(color_scheme="light")) as context:
                sign_in(context, pages, token)
                page = context.new_page()
                if not settled:  # what is drawn before anything is known
                    page.route("**/ws**", lambda route: route.abort())
                page.goto(f"{pages.address}{path}", wait_until="load")
                if settled:
                    page.locator("h1").wait_for()
                    page.wait_for_timeout(_SETTLED_MS)
                self.turn(page, f"{state}-{name}")

    def turn(self, page, name):
        """Take what is shown, at every width in every scheme."""
        for (width, height), scheme in itertools.product(WIDTHS.items(), SCHEMES):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(300)  # the layout follows the window by an observer
            tall = min(_WHOLE, max(height, page.evaluate(_HEIGHT)))
            page.set_viewport_size({"width": width, "height": tall})
            page.wait_for_timeout(300)
            page.screenshot(path=self._folder / f"{name}-{width}-{scheme}.png")


_HEIGHT = """() => { let most = 0; const look = (root) => { for (const one of root.querySelectorAll("*")) {
  if (one.matches(".main-content, main, html")) most = Math.max(most, one.scrollHeight + innerHeight - one.clientHeight)
  if (one.shadowRoot) look(one.shadowRoot) } }; look(document); return Math.ceil(most) }"""


def named(paths):
    return {path or "overview": path for path in paths}


def take_all(camera, browser, place):
    """Every page in every state; labs are made in a place of their own."""
    bare = place / "empty" / "lab"
    bare.parent.mkdir()
    flnb.open(bare).store.close()
    with Pages(bare) as pages:
        camera.take(pages, "empty", named(PLAIN))
    past = make_past(place / "lab")
    with Pages(past) as pages:
        camera.take(pages, "store", OF_PAST)
        viewer = token_of(past, "vera", "viewer")
        camera.take(pages, "denied", named(PLAIN), token=viewer)
        camera.take(pages, "absent", {"rounds": "rounds?run=nobody"})
    with coordinating(past) as coordinator, Pages(past) as pages:
        camera.take(pages, "running", OF_PRESENT)
        camera.take(pages, "past", OF_PAST)
        take_dialogs(camera, browser, pages, token_of(past, "leo", "admin"))
        coordinator.kill()
        camera.take(pages, "gone", {"rounds": "rounds?run=running", "overview": ""})


def take_dialogs(camera, browser, pages, token):
    """What asks before it does something, and what is there before anybody is known."""
    with contextlib.closing(browser.new_context(viewport={"width": 1440, "height": 900})) as here:
        sign_in(here, pages, token)  # one of his own: he signs out
        page = here.new_page()
        page.goto(f"{pages.address}checkpoints?run=finished&at=6")
        page.get_by_role("button", name="Roll back to it…").click()
        page.get_by_role("dialog").wait_for()
        page.wait_for_timeout(_SETTLED_MS)
        camera.turn(page, "dialog-roll-back")
        page.goto(f"{pages.address}sign-out")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="Sign in").wait_for()
        camera.turn(page, "signed-out")


def write_index(folder):
    """A page that shows all pictures, those of one state together."""
    names = sorted({path.stem.rsplit("-", 2)[0] for path in folder.glob("*.png")})
    parts = [
        f'<h2 id="{escape(name)}">{escape(name)}</h2><section>'
        + "".join(
            f'<figure><a href="{file}"><img src="{file}" alt="{escape(file)}" loading="lazy"></a>'
            f"<figcaption>{width} px, {scheme}</figcaption></figure>"
            for width, scheme in itertools.product(WIDTHS, SCHEMES)
            for file in [f"{name}-{width}-{scheme}.png"]
        )
        + "</section>"
        for name in names
    ]
    links = " · ".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)
    (folder / "index.html").write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Pages of flnb</title>'
        f"<style>{_STYLE}</style><nav>{links}</nav>{''.join(parts)}</html>"
    )


def main(folder, wanted=""):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as place:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=["--no-sandbox"])
        take_all(Camera(browser, folder, wanted), browser, Path(place))
        browser.close()
    write_index(folder)
    print(f"{folder / 'index.html'}: {len(list(folder.glob('*.png')))} pictures")


if __name__ == "__main__":
    main(*sys.argv[1:])
