"""The benchmarks of remote clients at a tiny size: they run, and what does not depend on speed holds."""

from pathlib import Path

import pytest

from benchmarks import remote_bits, remote_idle, remote_memory, remote_pressure, remote_rounds
from benchmarks import remote_transfers as transfers
from benchmarks.bare_stream import bare
from benchmarks.both_sides import BYTES
from benchmarks.federation import federation
from benchmarks.memory import SHARED, watched
from tests.e2e.victims import await_


@pytest.fixture(scope="module")
def here():
    with federation("8 MB", clients=2, processes=2) as everybody:
        yield everybody


@pytest.fixture(scope="module")
def wire():
    with bare(users=1) as stream:
        yield stream


def test_a_round_stands_beside_its_floor(here, wire):
    row = remote_rounds.beside_floor(here, wire, turns=1, rounds=3)
    assert row.value > 0
    assert row.peer_value > 0


def test_every_transfer_carries_all_bytes_of_the_version_and_of_the_update(here):
    here.transfers()
    here.run("drift", rounds=2)
    kinds = [(one["kind"], one["n_bytes"]) for one in here.transfers()]
    assert sorted(kinds) == [("download", 8_001_024)] * 4 + [("upload", 8_001_024)] * 4


def test_both_ways_stand_beside_the_bare_stream(here, wire):
    rows = list(transfers.both_ways(here, wire, turns=1, rounds=2))
    assert [row.bar for row in rows] == ["", ">= 0.8", "", ">= 0.8"]
    assert all(row.value > 0 for row in rows)


def test_memory_is_looked_at_while_a_run_goes(here):
    assert remote_memory.peak_of_run(here, rounds=1) > 8


def test_versions_lie_in_files_and_never_in_shared_memory(here):
    maps = Path(f"/proc/{here.service.pid}/maps")
    with watched(here.service.pid, counted=(SHARED,)) as shared:
        here.start("drift", rounds=2)
        await_(lambda: "/lab/#" in maps.read_text(), "no version in a file without a name")
        here.service.ask(do="wait")
    assert shared.megabytes < BYTES[here.model] / 1e6 / 2


def test_pings_are_counted_while_clients_upload_and_a_stranger_is_refused(here):
    pings = list(remote_pressure.pings(here, rounds=2))
    assert pings[0].value >= pings[-1].value > 0
    refused, grown = remote_pressure.stranger(here.service, here.address, 8_000_000)
    assert refused.ok
    assert grown.ok


def test_sessions_are_let_in_and_all_hear_of_work(here):
    rows = list(remote_idle.with_sessions(here.service, 3, 1, idle_s=0.1, turns=1))
    assert [row.unit for row in rows] == ["kB each", "% of a core", "s"]
    assert rows[-1].value > 0


@pytest.mark.long
def test_remote_clients_end_with_the_bits_of_the_sequential_engine(here):
    assert remote_bits.remote(here, rounds=1) == remote_bits.sequential("8 MB", 2, rounds=1)
