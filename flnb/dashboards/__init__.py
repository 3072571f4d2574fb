"""Pages that show runs live and let people act on them: Panel, in a process beside the coordinator.

A page holds the same `Run` as a notebook does, here or elsewhere, so it works in a cell, too. No
logic of its own: what a button does is a method of `coordinator`. HTTP for programs is in `service`.
Read `feed.py` first, then `page.py`, which says how a page is written; `shell.py` is around each.
"""
