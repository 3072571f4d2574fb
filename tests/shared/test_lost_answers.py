"""The connection to PostgreSQL is torn between the commit of a closing and its answer: was the round closed?"""

import asyncio

import pytest

import flnb
from flnb.coordinator.history.verifying import verify
from flnb.core.errors import StorageUnreachableError
from flnb.store import StateStore
from flnb.testing.stores import sample_closing, sample_run
from tests.relay import PIECE_BYTES, Relay, until_one_ends
from tests.shared.postgres import PASSWORD
from tests.shared.sharing import NAME, ROUNDS, plan, task


class Line(Relay):
    """The way to the server; `lose` tears it when the next closing was committed, and nobody heard so."""

    lose = False

    async def _link(self, here, there):
        doomed = asyncio.Event()
        await until_one_ends(
            self._questions(here[0], there[1], doomed), self._answers(there[0], here[1], doomed)
        )

    async def _questions(self, reader, writer, doomed):
        closes = False
        while data := await reader.read(PIECE_BYTES):
            closes = closes or b"INSERT INTO closings" in data
            if b"COMMIT" in data:
                if closes and self.lose:
                    self.lose = False
                    doomed.set()
                closes = False
            writer.write(data)
            await writer.drain()

    async def _answers(self, reader, writer, doomed):
        while data := await reader.read(PIECE_BYTES):
            if doomed.is_set():
                return  # it is done now
            writer.write(data)
            await writer.drain()


@pytest.fixture
def line(postgres):
    line = Line(postgres.port, "line")
    yield line
    line.close()


@pytest.fixture
def url(line, state_url):
    """The address of a new state, over the line."""
    schema = state_url.partition("&options")[2]
    return f"postgresql://flnb:{PASSWORD}@127.0.0.1:{line.port}/postgres?options{schema}"


def test_a_closing_whose_answer_was_lost_is_there_and_is_not_doubled(line, url):
    state = StateStore(url, address="/lab")
    state.create_run(sample_run())
    line.lose = True
    with pytest.raises(StorageUnreachableError):
        state.close_round(sample_closing(1))
    there = state.closing("run001", 1)
    assert state.close_round(sample_closing(1)).position == there.position
    assert [one.round for one in state.closings("run001")] == [1]
    state.close()


@pytest.mark.timeout(120)
def test_a_run_finds_out_that_its_round_was_closed(line, url, tmp_path, monkeypatch):
    monkeypatch.setenv("FLNB_PROGRESS", "off")
    with flnb.Coordinator(flnb.open(tmp_path / "lab", url)) as coordinator:
        coordinator.simulate(task(), workers=0)
        line.lose = True
        run = coordinator.run(plan(), task(), name=NAME)
        with pytest.raises(StorageUnreachableError, match=r"run\.resume"):
            run.wait()
        assert coordinator.lab.store.state.head(run.id).round == 1
        run.resume().wait()
    assert verify(coordinator.lab.store).problems == ()
    rounds = coordinator.lab.sql("SELECT round FROM rounds ORDER BY round").df()["round"]
    assert rounds.tolist() == list(range(1, ROUNDS + 1))
