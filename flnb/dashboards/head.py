"""The document around a page: colours before the first paint, and the theme that people chose.

The theme follows the system until somebody chooses; the choice is kept in the browser. A cookie
tells the server, so that the next page is drawn right from the start.
"""

from __future__ import annotations

from flnb.dashboards.focus import SCRIPT

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
  }, 15)
})()
"""
    + SCRIPT
    + """
</script>
{% endblock %}
"""
)
