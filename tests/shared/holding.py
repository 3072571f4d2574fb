"""Holds a lab until it is killed: `holding.py ADDRESS STATE CACHE LEASE_S [NAME=VALUE…]`; STATE may be `-`.

Once `CACHE.go` is there, it writes as one that holds the lab still, then as anybody; what came of it is
written to `CACHE.txt`.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

import flnb
from flnb.coordinator.acting import request
from flnb.core.errors import FLBaseError
from flnb.store import RoundKey, shared_lease
from flnb.tensors import Layout
from flnb.testing.stores import sample_run
from tests.e2e.victims import await_

RUN = replace(sample_run(), layout=Layout.of([("weight", (2,), "float32", "parameter")]).to_json())


def main():
    address, state, cache, lease_s = sys.argv[1:5]
    os.environ |= dict(setting.split("=", 1) for setting in sys.argv[5:])
    os.environ["FLNB_CACHE_DIR"] = cache
    shared_lease.LEASE_S = float(lease_s)
    lab = flnb.open(address, None if state == "-" else state)
    coordinator, run = flnb.Coordinator(lab).start(), lab.run(RUN.name)
    await_(Path(f"{cache}.go").exists, "nobody says go")
    try:
        lab.store.state.give_name("mine", RoundKey(RUN.id, 1, 1), request("as before"))
        said = "written"
    except FLBaseError as error:
        said = f"{type(error).__name__}: {error}"
    await_(lambda: not coordinator.running, "it did not stop itself")
    run.alias("theirs", 1)
    Path(f"{cache}.txt").write_text(said)


if __name__ == "__main__":
    main()
