"""The document around a page: colours before the first paint, and the theme that people chose.

The theme follows the system until somebody chooses; the choice is kept in the browser. A cookie
tells the server, so that the next page is drawn right from the start. A tab that is hidden says so.
"""

from __future__ import annotations

from typing import Any

import panel as pn
import param
from bokeh.document import Document
from panel.io.notifications import NotificationAreaBase
from panel_material_ui.template.base import Page as MaterialPage

from flnb.dashboards import focus, retelling

TEMPLATE = (
    """{% extends "base.html" %}
{% block postamble %}{{ super() }}
<style>
  :root { color-scheme: light dark; }
  html[data-theme="light"] { color-scheme: light; background: #ffffff; }
  html[data-theme="dark"] { color-scheme: dark; background: #161b22; }
  html[data-theme="dark"] body { background: #161b22; color: #e6edf3; }
  #loader { background: transparent !important; }
  @media (prefers-reduced-motion: reduce) { *, *::before, *::after { animation: none !important; transition: none !important; } }
</style>
<script>
(() => {
  const KEY = "flnb-theme", system = matchMedia("(prefers-color-scheme: dark)")
  const chosen = () => { try { return localStorage.getItem(KEY) } catch { return null } }
  const dark = () => { const c = chosen(); return c ? c === "dark" : system.matches }
  const show = (value) => {
    document.documentElement.dataset.theme = value ? "dark" : "light"
    document.cookie = `${KEY}=${value ? "dark" : "light"}; path=/; max-age=31536000; samesite=lax`
  }
  show(dark())
  const wait = setInterval(() => {
    const roots = window.Bokeh?.documents?.[0]?.roots() ?? []
    const page = roots.find((root) => root.data && root.data.properties && "dark_theme" in root.data.properties)
    if (!page) return
    clearInterval(wait)
    let ours = false
    const set = () => { const value = dark(); show(value); if (page.data.dark_theme !== value) { ours = true; page.data.dark_theme = value; ours = false } }
    set()
    page.data.properties.dark_theme.change.connect(() => {
      const value = page.data.dark_theme
      if (!ours) { try { localStorage.setItem(KEY, value ? "dark" : "light") } catch { /* private window */ } }
      show(value)
    })
    system.addEventListener("change", set)
    const look = () => { page.data.seen = !document.hidden }
    look()
    document.addEventListener("visibilitychange", look)
  }, 15)
})()
"""
    + focus.SCRIPT
    + retelling.SCRIPT
    + """
</script>
{% endblock %}
"""
)


class _Never(param.Boolean[bool]):
    """A flag that stays down, whatever it is told to follow."""

    def __set__(self, obj: Any, value: Any) -> None:
        """Leave it down."""
        super().__set__(obj, False)


class Frame(MaterialPage):
    """What is around every page, without the sign that somebody's page is at work.

    With that sign each page follows a flag of the whole process: no page that was ever opened would
    be let go, and whatever one of them does would be told to all of them.
    """

    busy = _Never(default=False, readonly=True, allow_refs=False, doc="Never")
    seen = param.Boolean(default=True, doc="Whether its tab is before somebody's eyes")


def forget(document: Document) -> None:
    """Let go of the toasts of a session that is over; Panel keeps them, and with them its document."""
    kept = pn.state._views  # nothing public names them
    for name, (shown, _, shown_in, _) in list(kept.items()):
        if shown_in is document and isinstance(shown, NotificationAreaBase):
            del kept[name]
