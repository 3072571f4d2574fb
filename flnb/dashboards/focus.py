"""Where the focus goes: into the page, and when a dialog opens, ends or is walked through.

MUI keeps the focus in its dialogs by looking at `document.activeElement`. Panel puts every widget
into a shadow root, where that tells only of the outermost one: Tab fell out of the dialog, and the
focus was lost when it closed (both seen in Chromium with panel-material-ui 0.16). Key presses
cross shadow roots, so they are what is listened to here.

What scrolls takes the focus itself: a page without a control, as an empty one may be, could not be
read to its end with the keyboard in browsers that do not see to that.
"""

from __future__ import annotations

SCRIPT = """
;(() => {
  const CONTROLS = "button, a[href], input, textarea, select, summary, [tabindex]"
  let opener = null
  const deepest = () => {
    let one = document.activeElement
    while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement
    return one
  }
  const dialogIn = (path) => path.find((one) => one.getAttribute?.("role") === "dialog") ?? null
  const controls = (root, found = []) => {
    for (const one of root.children ?? []) {
      const reachable = one.matches(CONTROLS) && one.tabIndex >= 0 && !one.disabled
      if (reachable && one.getClientRects().length) found.push(one)
      if (one.shadowRoot) controls(one.shadowRoot, found)
      controls(one, found)
    }
    return found
  }
  const remember = (event) => {
    const path = event.composedPath()
    if (!dialogIn(path)) opener = path.find((one) => one.matches?.(CONTROLS)) ?? opener
  }
  const giveBack = (dialog, tries = 30) => {
    if (!dialog.isConnected) {
      const lost = deepest() === document.body || deepest() === null
      if (lost && opener?.isConnected) opener.focus()
    } else if (tries) setTimeout(() => giveBack(dialog, tries - 1), 50)
  }
  const found = (selector, root) => {
    const inside = [...root.querySelectorAll("*")].filter((one) => one.shadowRoot)
    return root.querySelector(selector) ?? inside.map((one) => found(selector, one.shadowRoot)).find(Boolean)
  }
  const scroller = setInterval(() => {
    const one = found(".main-content", document)
    if (!one) return
    clearInterval(scroller)
    one.tabIndex = 0
  }, 15)
  document.addEventListener("click", (event) => {
    const dialog = dialogIn(event.composedPath())
    if (dialog) giveBack(dialog)
    else remember(event)
  }, true)
  document.addEventListener("keydown", (event) => {
    const dialog = dialogIn(event.composedPath())
    if (!dialog) return remember(event)
    if (event.key === "Escape") giveBack(dialog)
    if (event.key !== "Tab") return
    const inside = controls(dialog), last = inside.length - 1
    const at = inside.indexOf(deepest())
    const over = event.shiftKey ? at <= 0 : at === last || at < 0
    if (!inside.length || !over) return
    event.preventDefault()
    inside[event.shiftKey ? last : 0].focus()
  }, true)
})()
"""
