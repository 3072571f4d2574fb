"""`python -m benchmarks NAME [--json FILE]`: print the table of one group of figures.

A part of a group can be named too, such as `overhead`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from pathlib import Path

GROUPS = {
    "main": "main",
    "remote": "remote",
    "history": "history",
    "service": "service_figures",
    "pages": "pages_figures",
    "studies": "studies",
    "algorithms": "lr_mnist",
    "papers": "papers",
}
PARTS = (
    "endurance",
    "first_round",
    "history_commits",
    "history_many",
    "history_moves",
    "history_views",
    "history_s3",
    "machine",
    "overhead",
    "pages_first",
    "pages_live",
    "pages_slowing",
    "remote_bits",
    "remote_idle",
    "remote_memory",
    "remote_pressure",
    "remote_rounds",
    "remote_transfers",
    "service_events",
    "service_kernel",
    "service_rest",
    "study_report",
    "sums",
    "workloads",
)


def main() -> int:
    """Measure, print, write; fails when a bar is not met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=(*GROUPS, *PARTS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    chosen = parser.parse_args()
    # One core each, before numpy and torch are imported; and no live table between the rows.
    os.environ |= {"OMP_NUM_THREADS": "1", "FLNB_PROGRESS": "off"}
    name = GROUPS.get(chosen.name, chosen.name)
    rows = importlib.import_module(f"benchmarks.{name}").rows
    from benchmarks.rows import as_json, as_table, circumstances

    measured = []
    for row in rows():
        print(f"… {row.name}: {row.value:.3g} {row.unit}", file=sys.stderr, flush=True)
        measured.append(row)
    print(as_table(measured), *circumstances().values(), sep="\n")
    if chosen.json:
        chosen.json.write_text(json.dumps(as_json(measured), indent=1), encoding="utf-8")
    return 0 if all(row.ok is not False for row in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
