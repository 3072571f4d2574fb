"""What is said about addresses that lead nowhere, or somewhere else; and how a terminal names a lab."""

import subprocess
import sys
import traceback
from pathlib import Path

import pytest

import flnb
from flnb.cli import main
from flnb.coordinator.acting import request
from flnb.core.errors import (
    AddressError,
    LabVersionError,
    NotFoundError,
    StorageUnreachableError,
    StoreError,
)
from flnb.store import LabStore, StateStore
from flnb.store.address import LabAddress
from flnb.testing.stores import sample_run
from tests.shared.postgres import PASSWORD

ADDRESS = "s3://models/lab"


def refused(state, kind=StoreError, address=ADDRESS):
    """What opening a lab with such a state says."""
    with pytest.raises(kind) as error:
        StateStore(state, address=address)
    assert type(error.value) is kind
    assert PASSWORD not in str(error.value)
    return str(error.value)


def test_addresses_that_lead_nowhere_are_told_apart(postgres):
    there = f"127.0.0.1:{postgres.port}"
    said = refused(f"postgresql://flnb:{PASSWORD}@127.0.0.1:1/postgres", StorageUnreachableError)
    assert "does not answer" in said
    assert "authentication failed" in refused(
        f"postgresql://flnb:wrong@{there}/postgres", AddressError
    )
    assert "PGPASSWORD" in refused(f"postgresql://flnb@{there}/postgres", AddressError)
    assert '"nodb" does not exist' in refused(
        f"postgresql://flnb:{PASSWORD}@{there}/nodb", AddressError
    )
    assert "not in mysql://" in refused("mysql://root@localhost/flnb", AddressError)
    assert "not in a file" in refused("./state.db", AddressError)
    assert "cannot be read" in refused(f"postgresql://flnb:{PASSWORD}@host:port/x", AddressError)
    assert "no such schema" in refused(f"{postgres.url}&options=-csearch_path%3Dnowhere")


def test_a_password_may_come_from_the_environment(postgres, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    url = f"postgresql://flnb@127.0.0.1:{postgres.port}/postgres"
    with_schema = postgres.new_state().partition("&options")[2]
    state = StateStore(f"{url}?options{with_schema}", address=ADDRESS)
    assert state.runs() == []
    state.close()


def test_a_database_with_other_things_in_it_is_left_alone(postgres, state_url):
    postgres.do("CREATE TABLE recipes (name text)", state_url)
    assert "holds other things and no lab: recipes" in refused(state_url)
    assert postgres.do("SELECT count(*) FROM recipes", state_url) == [(0,)]


def test_a_database_holds_one_lab(state_url):
    StateStore(state_url, address=ADDRESS).close()
    assert f"holds the lab at {ADDRESS}" in refused(state_url, address="s3://models/other")


def test_a_newer_format_is_refused_and_left_alone(postgres, state_url):
    StateStore(state_url, address=ADDRESS).close()
    postgres.do("UPDATE lab SET format = 99", state_url)
    assert "format 99" in refused(state_url, LabVersionError)


def test_an_older_lab_gets_the_columns_it_lacks(postgres, state_url):
    StateStore(state_url, address=ADDRESS).close()
    postgres.do("ALTER TABLE operations DROP COLUMN digest", state_url)
    older = StateStore(state_url, address=ADDRESS)
    assert older.log_head() == (0, "")
    older.close()


def test_nothing_is_made_where_nothing_may_be_made(postgres, state_url, tmp_path):
    with pytest.raises(NotFoundError):
        LabStore.open(tmp_path / "lab", state_url, create=False)
    assert not (tmp_path / "lab").exists()
    with pytest.raises(NotFoundError):
        StateStore(state_url, address=ADDRESS, create=False)
    StateStore(state_url, address=ADDRESS).close()
    postgres.do("DELETE FROM lab", state_url)
    with pytest.raises(NotFoundError):
        StateStore(state_url, address=ADDRESS, create=False)


def test_a_password_is_in_no_text_of_an_address(tmp_path):
    state = f"postgresql://flnb:{PASSWORD}@host:port/x"
    assert PASSWORD not in repr(LabAddress.parse(tmp_path, state))
    with pytest.raises(StoreError) as refused:
        StateStore(state, address=ADDRESS)
    assert PASSWORD not in "".join(traceback.format_exception(refused.value))


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "pip install 'flnb[cloud]'" in refused("postgresql://flnb@localhost/flnb")


def test_a_folder_has_its_state_in_itself_or_elsewhere(state_url, tmp_path):
    flnb.open(tmp_path / "own")
    with pytest.raises(StoreError, match="keeps its state in the folder"):
        flnb.open(tmp_path / "own", state_url)
    shared = flnb.open(tmp_path / "shared", state_url)
    shared.store.writer.reset("run", None)
    with pytest.raises(StoreError, match="opened with state="):
        flnb.open(tmp_path / "shared")


def test_what_a_shared_lab_keeps_is_not_in_its_folder(state_url, tmp_path):
    lab, other = flnb.open(tmp_path / "lab", state_url), flnb.open(tmp_path / "lab", state_url)
    assert lab.path == tmp_path / "cache" / lab.id
    assert lab.path.stat().st_mode & 0o777 == 0o700
    assert repr(lab) == f"Lab('{tmp_path}/lab', 0 runs)"
    derived = [one.store.secret.derive(purpose="test") for one in (lab, other)]
    assert derived[0] == derived[1]
    assert [trouble for trouble in lab.store.health() if "free" not in trouble] == []
    assert {item.name for item in (tmp_path / "lab").iterdir()} == {"history", ".lock"}


def test_a_terminal_names_a_lab_and_its_state(state_url, tmp_path, monkeypatch, capsys):
    StateStore(state_url, address=ADDRESS).create_run(sample_run())
    for arguments in (("--state", state_url), ()):
        monkeypatch.setattr(sys, "argv", ["flnb", "runs", "list", "--lab", ADDRESS, *arguments])
        assert main() == 0
        assert "quiet-otter" in capsys.readouterr().out
        monkeypatch.setenv("DATABASE_URL", state_url)
    monkeypatch.setattr(sys, "argv", ["flnb", "runs", "list", "--lab", str(tmp_path / "none")])
    assert main() == 2


@pytest.mark.parametrize("place", ["s3"])
@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("verify LAB", "0 commits, 1 operations: all as written"),
        ("verify --lab LAB", "0 commits, 1 operations: all as written"),
        ("doctor LAB", "1 runs at s3://models/"),
        ("ckpt list quiet-otter --lab LAB", "quiet-otter"),
        ("runs show quiet-otter --lab LAB", "quiet-otter"),
        ("token list --lab LAB", "nobody has a pass"),
        ("client list --lab LAB", "no client has joined"),
    ],
)
def test_every_command_finds_a_lab_in_s3(address, state_url, monkeypatch, capsys, command, says):
    lab = flnb.open(address, state_url)
    lab.store.state.create_run(sample_run())
    lab.store.state.protect("run001", request("ours"))
    arguments = command.replace("LAB", address).split()
    for state in (["--state", state_url], []):
        monkeypatch.setattr(sys, "argv", ["flnb", *arguments, *state])
        assert main() == 0
        said = capsys.readouterr()
        assert says in said.out + said.err
        monkeypatch.setenv("DATABASE_URL", state_url)


def test_the_pages_find_a_lab_and_its_state(state_url, tmp_path):
    flnb.open(tmp_path / "lab", state_url)
    program = Path(sys.executable).with_name("flnb")
    command = [program, "ui", tmp_path / "lab", "--state", state_url, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pages:
        assert "sign-in?ticket=" in pages.stdout.readline()
        pages.terminate()
        pages.communicate()


@pytest.mark.parametrize("place", ["folder", "s3"])
def test_the_commits_of_a_lab_are_not_given_to_a_second_database(address, state_url, postgres):
    first, second = LabStore.open(address, state_url), postgres.new_state()
    with pytest.raises(StoreError, match=f"belongs to lab {first.id}, whose state is in another"):
        LabStore.open(address, second)
    tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema"
    assert postgres.do(tables, second) == [(0,)]
    StateStore(second, address=str(address)).close()  # as one that was made before the other
    other = LabStore.open(address, second)
    with pytest.raises(StoreError, match="DATABASE_URL"):
        other.lease()
    assert other.holder is None
    first.lease().release()
    for store in (first, other):
        store.close()
