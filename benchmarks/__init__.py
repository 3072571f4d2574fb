"""Figures that are measured, each beside its peer or its physical limit.

`python -m benchmarks NAME` prints the table of one group; `rows.py` says what a row is, `timing.py`
how it is measured. One file a group: `main.py`.
"""
