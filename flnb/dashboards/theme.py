"""How pages look: one accent, one danger colour, greys, a grid of 8 px; light and dark."""

from __future__ import annotations

from typing import Any

HUES = (
    "#1a80c4", "#c98200", "#0b9c74", "#c86fa0", "#3a9bd9", "#c45200", "#978b00",
)  # fmt: skip
"""For branches, runs and outcomes; the first one is for what matters most.

The hues of Okabe and Ito, which everybody tells apart. Theirs are for white paper with large areas:
of lines, orange, sky blue and yellow are too light on white, and blue is too dark on a dark page.
These have a contrast of 3 to both (WCAG 1.4.11), so that a chart needs no second set.
"""
GREY = "#8a9099"
"""For what is neither good nor bad; as much contrast."""
ACCENT, ACCENT_DARK = "#0b66a8", "#6cb6f0"

FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
FRAME = {
    "& .header": {
        "backgroundColor": "background.paper",
        "color": "text.primary",
        "boxShadow": "none",
        "borderBottom": "1px solid",
        "borderColor": "divider",
        "backgroundImage": "none",
    },
    "& .header .MuiLinearProgress-root": {"display": "none"},  # it has no name for readers
    "& .header .MuiIconButton-edgeStart": {"display": {"xs": "inline-flex", "lg": "none"}},
    "& .main-content:focus-visible": {"outline": "2px solid", "outlineOffset": "-2px"},
}
"""A quiet header; the menu stands in it where there is room, and in a drawer where there is not."""


def _palette(*, dark: bool) -> dict[str, Any]:
    accent = ACCENT_DARK if dark else ACCENT
    return {
        "palette": {
            "primary": {"main": accent, "contrastText": "#0c1116" if dark else "#ffffff"},
            "error": {"main": "#ff7b72" if dark else "#b3261e"},
            "background": {
                "default": "#0d1117" if dark else "#f6f7f9",
                "paper": "#161b22" if dark else "#ffffff",
            },
            "text": {
                "primary": "#e6edf3" if dark else "#1c2128",
                "secondary": "#a9b3be" if dark else "#57606a",
            },
            "divider": "#30363d" if dark else "#d9dee4",
        },
        "typography": {
            "fontFamily": FONT,
            "fontSize": 14,
            "button": {"textTransform": "none", "fontWeight": 600},
        },
        "shape": {"borderRadius": 8},
        "components": {"MuiButton": {"styleOverrides": {"root": {"boxShadow": "none !important"}}}},
    }


THEME = {"light": _palette(dark=False), "dark": _palette(dark=True)}
"""For panel-material-ui: `theme_config`."""

PICKER = """label.MuiInputLabel-root[data-shrink="false"] { transform: translate(14px, 7px); }"""
"""The label of a small box in which nothing is chosen; MUI is not told that it is small, and puts it low."""

CSS = """
:host { --ink: var(--panel-on-background-color, #1c2128); --line: color-mix(in srgb, currentColor 16%, transparent);
  --quiet: color-mix(in srgb, currentColor 72%, transparent); --accent: var(--panel-primary-color, #0b66a8);
  --good: #1a7f37; --busy: #8a5300; --bad: #b3261e; font-family: system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;
  font-size: 14px; line-height: 1.45; color: var(--ink); font-variant-numeric: tabular-nums; }
:host-context(.mui-dark), :host-context([data-theme="dark"]) { --good: #56d364; --busy: #e3b341; --bad: #ff8f87; }
.bk-clearfix { width: 100%; }
h1 { font-size: 22px; line-height: 32px; font-weight: 650; margin: 0; }
h2 { font-size: 15px; line-height: 24px; font-weight: 650; margin: 0 0 8px; }
p { margin: 0 0 8px; }
a { color: var(--accent); text-decoration: none; } a:hover, p a { text-decoration: underline; }
a:focus-visible, button:focus-visible, summary:focus-visible, [tabindex]:focus-visible
  { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
code, pre { font-family: ui-monospace,SFMono-Regular,Menlo,Consolas,monospace; font-size: 13px; }
code { background: color-mix(in srgb, currentColor 8%, transparent); color: inherit; padding: 1px 6px; border-radius: 4px; }
pre { background: color-mix(in srgb, currentColor 6%, transparent); padding: 12px; border-radius: 8px; overflow-x: auto; margin: 8px 0; }
.quiet { color: var(--quiet); } .good { color: var(--good); } .busy { color: var(--busy); } .bad { color: var(--bad); }
.status { white-space: nowrap; font-weight: 550; } .shape { font-size: 12px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; font-size: 12px; color: var(--quiet); padding: 8px 16px 8px 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
td { padding: 8px 16px 8px 0; border-bottom: 1px solid var(--line); vertical-align: middle; white-space: nowrap; }
tr:last-child > * { border-bottom: 0; } thead tr:last-child > th { border-bottom: 1px solid var(--line); } th[scope=row] { border-bottom: 1px solid var(--line); font-size: 13px; font-weight: 500; } tr:last-child > th[scope=row] { border-bottom: 0; } th.n, td.n { text-align: right; }
.fit table { width: auto; } .fit td, .fit th { padding-right: 32px; }
.clip { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; overflow-wrap: anywhere; }
td.wrap { white-space: normal; overflow-wrap: anywhere; min-width: 160px; }
tbody tr:hover td { background: color-mix(in srgb, currentColor 4%, transparent); }
.name { max-width: 280px; overflow: hidden; text-overflow: ellipsis; }
@media (max-width: 700px) { .name { max-width: 128px; } }
.chip { display: inline-block; border: 1px solid var(--line); border-radius: 999px; padding: 1px 10px; font-size: 12px; line-height: 20px; white-space: nowrap; }
.note { border: 1px solid var(--line); border-left: 4px solid var(--accent); border-radius: 8px; padding: 12px 16px; }
.note.bad { border-left-color: var(--bad); color: inherit; } .note.busy { border-left-color: var(--busy); color: inherit; }
.empty { background: color-mix(in srgb, currentColor 4%, transparent); border-radius: 8px; padding: 24px; text-align: center; }
.empty > :last-child, .note > :last-child { margin-bottom: 0; }
.empty pre { display: inline-block; text-align: left; max-width: 100%; box-sizing: border-box; white-space: pre-wrap; overflow-wrap: anywhere; }
button.plain { font: inherit; color: inherit; background: transparent; border: 1px solid var(--line); border-radius: 6px; padding: 4px 12px; cursor: pointer; }
button.plain:hover { background: color-mix(in srgb, currentColor 6%, transparent); }
@keyframes breathe { 50% { opacity: .45; } }
.skeleton { background: color-mix(in srgb, currentColor 9%, transparent); border-radius: 8px; animation: breathe 1.6s ease-in-out infinite; }
@media (prefers-reduced-motion: reduce) { *, *::before, *::after { animation: none !important; transition: none !important; } }
"""
"""For every pane of our own HTML; those live in shadow roots, which global styles do not reach."""
