"""How a report looks: light and dark as the reader's system is, on a phone, a desk and on paper."""

from __future__ import annotations

from flnb.experiments.report import heat

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b8579a", "#3a8fc7", "#b07a00", "#5b5fc7")
_DARK_COLOURS = ("#5fb4ea", "#ff9a57", "#3fcf9f", "#e79acb", "#9bd3f5", "#e8b83f", "#a7abff")
"""Okabe and Ito's, darkened for thin lines on white and lightened for those on black."""


def _variables(colours: tuple[str, ...]) -> str:
    return " ".join(f"--c{index}: {colour};" for index, colour in enumerate(colours))


_LIGHT = (
    "--ground: #ffffff; --ink: #1c2128; --quiet: #57606a; --line: #d9dee4; --soft: #f4f6f8; "
    f"--accent: #0b66a8; --good: #1a7f37; --busy: #8a5300; --bad: #b3261e; {_variables(_COLOURS)}"
)
_DARK = (
    "--ground: #0d1117; --ink: #e6edf3; --quiet: #a9b3be; --line: #30363d; --soft: #161b22; "
    f"--accent: #6cb6f0; --good: #56d364; --busy: #e3b341; --bad: #ff8f87; {_variables(_DARK_COLOURS)}"
)
_STROKES = "\n".join(
    f".c{index}.line {{ stroke: var(--c{index}); }} "
    f".c{index}.dots, .c{index}.band, .c{index}.dots circle {{ fill: var(--c{index}); }}"
    for index in range(len(_COLOURS))
)

CSS = f"""
:root {{ color-scheme: light dark; {_LIGHT} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
* {{ box-sizing: border-box; }}
html {{ background: var(--ground); -webkit-text-size-adjust: 100%; }}
body {{ margin: 0 auto; max-width: 1120px; padding: 32px 24px 64px; color: var(--ink); counter-reset: figure table;
  font: 15px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }}
h1 {{ font-size: 30px; line-height: 38px; font-weight: 680; letter-spacing: -.015em; margin: 0 0 4px; }}
h2 {{ font-size: 19px; line-height: 28px; font-weight: 650; margin: 0 0 12px; padding-top: 20px; border-top: 1px solid var(--line); }}
h3 {{ font-size: 15px; font-weight: 650; margin: 24px 0 8px; }}
section {{ margin-top: 36px; }}
p {{ margin: 0 0 12px; max-width: 76ch; }}
a {{ color: var(--accent); }}
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible {{ outline: 2px solid var(--accent); outline-offset: 2px; }}
.over {{ color: var(--quiet); font-size: 13px; font-weight: 600; letter-spacing: .04em; text-transform: uppercase; margin: 0 0 6px; }}
.lead {{ color: var(--quiet); margin: 0 0 20px; max-width: none; }}
.quiet {{ color: var(--quiet); }} .good {{ color: var(--good); }} .busy {{ color: var(--busy); }} .bad {{ color: var(--bad); }}
.state {{ white-space: nowrap; font-weight: 550; }}
nav ul {{ list-style: none; display: flex; flex-wrap: wrap; gap: 4px 20px; padding: 0; margin: 20px 0 0; font-size: 14px; }}
dl, dd, dt {{ margin: 0; }}
.key {{ display: flex; flex-wrap: wrap; gap: 1px; background: var(--line);
  border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }}
.key > div {{ flex: 1 1 156px; background: var(--ground); padding: 12px 16px; }}
.key dt {{ font-size: 13px; color: var(--quiet); }}
.key dd {{ font-size: 24px; line-height: 34px; font-weight: 620; letter-spacing: -.01em; white-space: nowrap; }}
.key dd.quiet {{ font-size: 13px; line-height: 20px; font-weight: 400; letter-spacing: 0; min-height: 20px; white-space: normal; }}
.facts > div {{ display: grid; grid-template-columns: minmax(120px, 236px) 1fr; gap: 4px 16px; padding: 6px 0; border-bottom: 1px solid var(--line); }}
.facts > div:last-child {{ border-bottom: 0; }}
.facts dt {{ color: var(--quiet); }}
.columns {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 8px 40px; align-items: start; }}
figure {{ margin: 0 0 20px; min-width: 0; break-inside: avoid; }}
figcaption {{ font-size: 13px; line-height: 19px; color: var(--quiet); }}
figure:not(.table):not(.plain) {{ counter-increment: figure; }}
figure:not(.table):not(.plain) > figcaption::before {{ content: "Figure " counter(figure) ". "; font-weight: 650; color: var(--ink); }}
figure.table {{ counter-increment: table; }}
figure.table > figcaption {{ margin-bottom: 6px; }}
figure.table > figcaption::before {{ content: "Table " counter(table) ". "; font-weight: 650; color: var(--ink); }}
.figures {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); gap: 12px 28px; }}
.figures > figure > svg {{ max-width: none; }}
figure > svg {{ display: block; width: 100%; max-width: 560px; height: auto; font-size: 11.5px; fill: var(--quiet); }}
figure > svg text {{ font-family: inherit; }}
svg .grid {{ stroke: var(--line); fill: none; }} svg .tick {{ stroke: var(--quiet); fill: none; }}
svg .line {{ fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }} svg .dashed {{ stroke-dasharray: 5 4; }}
svg .band {{ opacity: .17; }}
{_STROKES}
{heat.CSS}
.legend {{ list-style: none; display: flex; flex-wrap: wrap; gap: 2px 16px; padding: 0; margin: 4px 0; font-size: 13px; }}
.legend li {{ display: flex; align-items: center; gap: 6px; }} .legend svg {{ width: 26px; height: 8px; flex: none; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 14px; }}
thead {{ border-top: 1.5px solid var(--ink); border-bottom: 1px solid var(--ink); }}
tbody {{ border-bottom: 1.5px solid var(--ink); }}
th, td {{ padding: 5px 20px 5px 0; text-align: left; vertical-align: baseline; white-space: nowrap; }}
th:last-child, td:last-child {{ padding-right: 4px; }}
th {{ font-weight: 600; }} th.n, td.n {{ text-align: right; }}
td.wrap {{ white-space: normal; min-width: 160px; }}
tr.best td, td.best {{ font-weight: 680; }}
tbody tr:hover td {{ background: var(--soft); }}
.note {{ border: 1px solid var(--line); border-left: 4px solid var(--accent); border-radius: 8px; padding: 10px 14px; max-width: none; white-space: pre-wrap; }}
.note.bad {{ border-left-color: var(--bad); color: inherit; }} .note.busy {{ border-left-color: var(--busy); color: inherit; }}
pre, code {{ font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }}
pre {{ background: var(--soft); border-radius: 8px; padding: 12px 16px; margin: 0 0 12px; white-space: pre-wrap; }}
details {{ margin: 8px 0 16px; }} summary {{ cursor: pointer; color: var(--accent); }} details[open] > summary {{ margin-bottom: 8px; }}
.packages {{ columns: 200px; column-gap: 24px; font-size: 12.5px; margin: 0; padding: 0; list-style: none; }}
footer {{ margin-top: 48px; padding-top: 12px; border-top: 1px solid var(--line); font-size: 13px; color: var(--quiet); }}
@media (max-width: 520px) {{ body {{ padding: 20px 16px 48px; }} h1 {{ font-size: 25px; line-height: 32px; }}
  .key > div {{ flex-basis: 40%; padding: 10px 12px; }} .key dd {{ font-size: 20px; line-height: 28px; }}
  .facts > div {{ grid-template-columns: 1fr; gap: 0; }} }}
@page {{ margin: 16mm 14mm; }}
@media print {{ .key dd {{ font-size: 14pt; }} .key dd.quiet {{ font-size: 8pt; }} .key > div {{ flex-basis: 100px; padding: 6pt 8pt; }}
  body {{ max-width: none; padding: 0; font-size: 10.5pt; }} nav {{ display: none; }} section {{ margin-top: 18pt; }}
  h2 {{ break-after: avoid; }} h3 {{ break-after: avoid; }} tr, .key > div {{ break-inside: avoid; }} thead {{ display: table-header-group; }}
  figure.table {{ break-inside: auto; }} .scroll {{ overflow: visible; }} table {{ font-size: 7.5pt; }} th, td {{ padding: 2.5pt 7pt 2.5pt 0; }} thead th {{ white-space: normal; }}
  .figures {{ grid-template-columns: 1fr 1fr; }} a {{ color: inherit; text-decoration: none; }} details:not([open])::details-content {{ content-visibility: visible; }} }}
"""
"""One style sheet, inside the file."""
