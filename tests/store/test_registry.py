"""Who may take part: a name belongs to the key that joined with its latest invite."""

import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from flnb.core.errors import AccessRefusedError, NotFoundError, StoreError, TokenExpiredError
from flnb.store import ClientRecord, InviteRecord, Metrics, StateStore, projection
from flnb.testing.stores import MOMENT, sample_closing, sample_run

KEY, OTHER_KEY = b"\x01" * 32, b"\x02" * 32
ABOUT = {"version": "0.1.0", "task": "heart", "machine": {"cores": 4}}


class Noon:
    """A clock that stands."""

    def now(self):
        return after(2)

    def monotonic_s(self):
        return 0.0


def after(minutes):
    return MOMENT + timedelta(minutes=minutes)


def invite(client="hospital-a", token="first", *, made=0, role="client"):
    return InviteRecord(token, client, role, after(made), after(made + 120))


@pytest.fixture
def state(tmp_path):
    store = StateStore(tmp_path / "state.db")
    yield store
    store.close()


@pytest.fixture
def joined(state):
    state.add_invite(invite())
    state.join("first", KEY, after(1))
    return state


def test_an_invite_is_read_back_as_it_was_written(state):
    older, newer = invite(), invite("hospital-b", "second", made=5, role="viewer")
    for record in (older, newer):
        state.add_invite(record)
    assert state.invites() == [newer, older]


def test_a_token_is_given_out_once(state):
    state.add_invite(invite())
    with pytest.raises(StoreError, match="already"):
        state.add_invite(invite("hospital-b"))
    assert state.invites() == [invite()]


def test_joining_binds_the_key_to_the_invited_name(state):
    state.add_invite(invite(role="operator"))
    client = ClientRecord("hospital-a", KEY, "operator", after(1))
    assert state.join("first", KEY, after(1)) == client
    assert state.client("hospital-a") == client
    assert state.clients() == [client]
    assert state.invites() == [replace(invite(role="operator"), used_by=KEY)]


def test_the_holder_of_a_name_is_found_by_any_invite_for_it(joined):
    joined.add_invite(invite(token="again", made=5))
    joined.add_invite(invite("hospital-b", "second", made=5))
    assert joined.holder("again") == joined.client("hospital-a")
    assert joined.holder("second") is None
    assert joined.holder("never given out") is None


def test_the_same_key_may_join_again_while_the_invite_lives(joined):
    joined.seen("hospital-a", after(2), 7, ABOUT)
    known = joined.client("hospital-a")
    assert joined.join("first", KEY, after(119)) == known
    with pytest.raises(TokenExpiredError):
        joined.join("first", KEY, after(120))
    assert joined.client("hospital-a") == known


@pytest.mark.parametrize(
    ("token", "minute", "error", "said"),
    [
        ("of another lab", 1, AccessRefusedError, "no invite"),
        ("first", 1, AccessRefusedError, "'hospital-a' was used by another"),
        ("fresh", 120, TokenExpiredError, "'hospital-b' expired at 2026-03-29 03:30 UTC"),
        ("void", 1, AccessRefusedError, "'hospital-c' ended .* revoked"),
    ],
)
def test_a_bad_invite_is_refused_and_says_why(joined, token, minute, error, said):
    joined.add_invite(invite("hospital-b", "fresh"))
    joined.add_invite(invite("hospital-c", "void"))
    joined.revoke_client("hospital-c", "", after(0))
    before = joined.clients(), joined.invites()
    with pytest.raises(error, match=said) as refused:
        joined.join(token, OTHER_KEY, after(minute))
    assert type(refused.value) is error
    assert "new invite" in refused.value.hint
    assert (joined.clients(), joined.invites()) == before


def test_a_new_invite_lets_a_new_key_take_the_name_over(joined):
    joined.seen("hospital-a", after(2), 7, ABOUT)
    joined.add_invite(invite(token="second", made=10, role="viewer"))
    taken = joined.join("second", OTHER_KEY, after(11))
    assert taken == ClientRecord(
        "hospital-a", OTHER_KEY, "viewer", after(11), None, "", after(2), 7, ABOUT
    )
    with pytest.raises(AccessRefusedError, match="another one was used"):
        joined.join("first", KEY, after(12))
    assert joined.clients() == [taken]


def test_an_invite_from_before_the_key_joined_gives_the_name_to_nobody(state):
    for token in ("lost", "sent"):
        state.add_invite(invite(token=token))
    state.join("sent", KEY, after(1))
    with pytest.raises(AccessRefusedError, match="another one was used"):
        state.join("lost", OTHER_KEY, after(2))
    assert state.client("hospital-a").public_key == KEY


def test_a_revoked_client_comes_back_by_a_new_invite_alone(joined):
    joined.add_invite(invite(token="unused", made=2))
    joined.revoke_client("hospital-a", "key stolen", after(3))
    for token, key in (("first", KEY), ("unused", KEY), ("unused", OTHER_KEY)):
        with pytest.raises(AccessRefusedError):
            joined.join(token, key, after(4))
    revoked = joined.client("hospital-a")
    assert (revoked.revoked_at, revoked.reason) == (after(3), "key stolen")
    joined.add_invite(invite(token="again", made=5))
    back = joined.join("again", OTHER_KEY, after(6))
    assert (back.revoked_at, back.reason, back.public_key) == (None, "", OTHER_KEY)


def test_the_same_key_may_come_back_after_a_revocation(joined):
    joined.revoke_client("hospital-a", "holidays", after(3))
    joined.add_invite(invite(token="again", made=5))
    assert joined.join("again", KEY, after(6)).revoked_at is None


def test_the_first_revocation_stays_and_later_invites_end(joined):
    joined.revoke_client("hospital-a", "key stolen", after(3))
    joined.add_invite(invite(token="again", made=4))
    joined.revoke_client("hospital-a", "no", after(5))
    revoked = joined.client("hospital-a")
    assert (revoked.revoked_at, revoked.reason) == (after(3), "key stolen")
    with pytest.raises(AccessRefusedError, match="ended at 2026-03-29 01:35 UTC"):
        joined.join("again", KEY, after(6))


def test_an_invite_that_nobody_used_is_taken_back(joined):
    for token in ("second", "third"):
        joined.add_invite(invite("hospital-b", token))
    joined.revoke_client("hospital-b", "wrong address", after(1))
    for token in ("second", "third"):
        with pytest.raises(AccessRefusedError, match="revoked"):
            joined.join(token, OTHER_KEY, after(2))
    assert [client.name for client in joined.clients()] == ["hospital-a"]
    with pytest.raises(NotFoundError, match="'hospital-b'"):
        joined.revoke_client("hospital-b", "again", after(3))


def test_the_names_that_could_be_joined_now_are_listed(tmp_path):
    store = StateStore(tmp_path / "state.db", clock=Noon())
    lasting = replace(invite("hospital-b", "lasting"), expires_at=after(300))
    for record in (invite(), invite("hospital-b", "short"), lasting, invite("hospital-c", "void")):
        store.add_invite(record)
    store.add_invite(replace(invite("hospital-d", "over"), expires_at=after(1)))
    store.join("first", KEY, after(1))
    store.revoke_client("hospital-c", "", after(1))
    assert store.open_invites() == {"hospital-b": after(300)}
    store.close()


def test_what_a_client_tells_is_what_it_told_last(joined):
    joined.seen("hospital-a", after(2), 7, ABOUT)
    joined.seen("hospital-a", after(3), 9, {"version": "0.2.0"})
    client = joined.client("hospital-a")
    assert (client.last_seen_at, client.n_examples) == (after(3), 9)
    assert client.about == {"version": "0.2.0"}


def test_an_unknown_client_names_the_nearest(joined):
    for ask in (
        joined.client,
        lambda name: joined.revoke_client(name, "", MOMENT),
        lambda name: joined.seen(name, MOMENT, 1, {}),
    ):
        with pytest.raises(NotFoundError, match="did you mean 'hospital-a'"):
            ask("hospital-aa")


def test_of_many_keys_that_join_at_once_one_wins(state):
    keys = [bytes([number]) * 32 for number in range(8)]
    state.add_invite(invite())
    refused, start = [], threading.Barrier(len(keys))

    def join(key):
        start.wait()
        try:
            state.join("first", key, after(1))
        except AccessRefusedError:
            refused.append(key)

    threads = [threading.Thread(target=join, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = state.client("hospital-a").public_key
    assert sorted(refused) == [key for key in keys if key != winner]
    assert [record.used_by for record in state.invites()] == [winner]


JOIN = """
import sys
from datetime import datetime
from pathlib import Path
from flnb.core.errors import AccessRefusedError
from flnb.store import StateStore
state = StateStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
try:
    state.join("first", bytes.fromhex(sys.argv[2]), datetime.fromisoformat(sys.argv[3]))
    print("joined")
except AccessRefusedError:
    print("refused")
"""


def test_of_two_processes_that_join_at_once_one_wins(state, tmp_path, interpreters):
    state.add_invite(invite())
    others = {
        key: interpreters.start(JOIN, tmp_path / "state.db", key.hex(), after(1).isoformat())
        for key in (KEY, OTHER_KEY)
    }
    assert [other.stdout.readline() for other in others.values()] == ["ready\n"] * 2
    for other in others.values():
        other.stdin.close()
    said = {other.stdout.read().strip(): key for key, other in others.items()}
    assert [other.wait() for other in others.values()] == [0, 0]
    for other in others.values():
        other.close()
    assert said.keys() == {"joined", "refused"}
    assert state.client("hospital-a").public_key == said["joined"]


def forget_tables(path, *tables):
    connection = sqlite3.connect(path)
    for table in tables:
        connection.execute(f"DROP TABLE {table}")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("lacks", [("clients", "invites"), ("invites",), ("forgotten", "clients")])
def test_a_lab_from_before_clients_gets_what_it_lacks(state, tmp_path, lacks):
    state.create_run(sample_run())
    state.close_round(sample_closing(1))
    state.close()
    forget_tables(tmp_path / "state.db", *lacks)
    again = StateStore(tmp_path / "state.db")
    assert again.lab_id == state.lab_id
    again.add_invite(invite())
    assert again.join("first", KEY, after(1)).name == "hospital-a"
    assert again.head("run001").round == 1
    again.close()


def test_tables_from_before_clients_are_made_anew(joined, tmp_path, monkeypatch):
    joined.create_run(sample_run())
    joined.close_round(sample_closing(1))
    path = tmp_path / "metrics.duckdb"
    with monkeypatch.context() as patch:
        older = tuple(line for line in projection.DDL if "clients" not in line)
        patch.setattr("flnb.store.projection.DDL", older)
        tables = Metrics(joined, path)
        tables.catch_up()
        tables.close()
    tables = Metrics(joined, path)
    assert tables.catch_up() == 1
    assert [row["client"] for row in tables.query("FROM clients")] == ["hospital-a"]
    assert len(tables.query("FROM rounds")) == 1
    tables.close()


@pytest.fixture
def tables(joined, tmp_path):
    metrics = Metrics(joined, tmp_path / "metrics.duckdb")
    yield metrics
    metrics.close()


def test_sql_sees_the_clients_as_they_are_now(joined, tables):
    (row,) = tables.query("FROM clients")
    assert row == {
        "client": "hospital-a",
        "role": "client",
        "joined_at": after(1),
        "rotated_at": None,
        "revoked_at": None,
        "reason": "",
        "last_seen_at": None,
        "n_examples": 0,
        "task": None,
        "version": None,
    }
    joined.seen("hospital-a", after(2), 7, ABOUT)
    joined.revoke_client("hospital-a", "key stolen", after(3))
    (now,) = tables.query("FROM clients")
    assert now == row | {
        "last_seen_at": after(2),
        "n_examples": 7,
        "task": "heart",
        "version": "0.1.0",
        "revoked_at": after(3),
        "reason": "key stolen",
    }


@pytest.mark.parametrize("way", ["closed", "lost", "torn"])
def test_clients_are_in_the_tables_again_after_reopening(joined, tables, tmp_path, way):
    before = list(tables.query("FROM clients"))
    tables.close()
    if way == "lost":
        (tmp_path / "metrics.duckdb").unlink()
    if way == "torn":
        (tmp_path / "metrics.duckdb").write_bytes(b"torn")
    assert list(tables.query("FROM clients")) == before
    joined.add_invite(invite("hospital-b", "second"))
    joined.join("second", OTHER_KEY, after(2))
    assert len(tables.query("FROM clients")) == 2


def test_clients_that_did_not_change_are_not_written_again(joined, tables, monkeypatch):
    before = list(tables.query("FROM clients"))
    monkeypatch.setattr(projection, "replace", lambda *_: pytest.fail("nothing has changed"))
    assert list(tables.query("FROM clients")) == before


def test_sql_never_sees_a_key_or_a_token(joined, tmp_path):
    secret = "c0ffee" * 8
    joined.add_invite(invite("hospital-b", secret))
    joined.join(secret, KEY, after(2))
    joined.seen("hospital-b", after(3), 1, ABOUT)
    path = tmp_path / "metrics.duckdb"
    tables = Metrics(joined, path)
    assert len(tables.query("FROM clients")) == 2
    names = [row["table_name"] for row in tables.query("SELECT table_name FROM duckdb_tables()")]
    assert "invites" not in names
    types = tables.query("SELECT DISTINCT data_type FROM duckdb_columns() WHERE NOT internal")
    assert "BLOB" not in {row["data_type"] for row in types}
    tables.close()
    written = path.read_bytes()
    assert b"hospital-b" in written
    for hidden in (KEY, KEY.hex().encode(), secret.encode()):
        assert hidden not in written


def test_whoever_is_shut_out_is_listed_with_the_reason_until_invited_again(joined):
    assert joined.revoked() == {}
    joined.revoke_client("hospital-a", "key stolen", after(3))
    assert joined.revoked() == {"hospital-a": "key stolen"}
    joined.add_invite(invite(token="second", made=4))
    joined.join("second", OTHER_KEY, after(5))
    assert joined.revoked() == {}
