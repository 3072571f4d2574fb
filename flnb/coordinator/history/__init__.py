"""What a run has been: checkpoints, the graph of its branches, forks and roll backs.

Rows of the state database say which rounds lead where (`flnb.store.lineage`); here people look at
them and move heads. How a round is closed is not here (`flnb.coordinator.closer`). Read
`checkpoint.py` first, then `timeline.py`, then `moving.py`.
"""
