"""What changes while a dialog is being drawn is told to its parts once more.

A part of panel-material-ui reads a property when it is drawn, and listens to it from a moment later on
(`useState` in Panel 1.9.4). What came between the two was never shown: two of six
roll backs left the button without the branch's name. Telling a part what it knows changes nothing.
"""

from __future__ import annotations

SCRIPT = """
;(() => {
  const TOLD = ["label", "disabled"], AFTER_MS = [300, 1500], known = new WeakSet()
  const parts = () => [...(window.Bokeh?.documents?.[0]?._all_models.values() ?? [])]
    .map((one) => one.data?.properties).filter(Boolean)
  const tell = () => { for (const part of parts()) for (const name of TOLD) part[name]?.change.emit() }
  const watch = () => {
    for (const part of parts()) {
      if (!part.open || known.has(part)) continue
      known.add(part)
      part.open.change.connect(() => AFTER_MS.forEach((ms) => setTimeout(tell, ms)))
    }
  }
  for (const kind of ["click", "keydown"]) document.addEventListener(kind, watch, true)
})()
"""
