"""Clients in a terminal: invited, listed, and an invite that is revoked."""

import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

import flnb as package
from flnb.client import Client, ClientEvent
from flnb.coordinator import ClientList, ClientRow, clients_of
from flnb.coordinator.listening import Place
from flnb.core.errors import AccessRefusedError, NameTakenError


def test_an_invite_that_was_not_used_is_listed_and_taken_back(flnb, tmp_path):
    Place(port=7443).save(package.open(tmp_path / "lab").path)
    at = ("--lab", str(tmp_path / "lab"))
    assert "no client has joined or is invited" in flnb("client", "list", *at).err
    made = json.loads(flnb("client", "invite", "hospital-a", "--json", *at).out)
    (row,) = json.loads(flnb("client", "list", "--json", *at).out)
    assert (row["client"], row["state"], row["joined_at"]) == ("hospital-a", "invited", None)
    assert row["invite_ends_at"] == made["expires_at"]
    table = flnb("client", "list", *at).out
    assert "invite until" in table
    assert made["expires_at"][:10] in table
    assert flnb("client", "revoke", "hospital-a", *at).code == 0
    assert json.loads(flnb("client", "list", "--json", *at).out) == []
    assert flnb("client", "revoke", "hospital-a", *at).code == 2


def test_what_clients_do_is_asked_of_the_process_that_holds_the_lab(flnb, lab, monkeypatch):
    row = ClientRow("hospital-a", "training", 12, None, "digits", None)
    there = SimpleNamespace(clients=ClientList([row], {"digits": 1200}))
    monkeypatch.setattr("flnb.cli.labs.steered", lambda path, at: nullcontext(there))
    shown = flnb("client", "list", "--json")
    (told,) = json.loads(shown.out)
    assert "not listed: 1,200 simulated clients of digits" in shown.err
    assert (told["client"], told["state"]) == ("hospital-a", "training")


@pytest.mark.parametrize(("holder", "state"), [(None, "offline"), ("somebody", "unknown")])
def test_where_nobody_can_be_asked_a_client_is_not_called_offline(holder, state):
    about = {"revoked_at": None, "last_seen_at": None, "joined_at": None, "about": {}}
    about["rotated_at"] = None
    joined = SimpleNamespace(name="hospital-a", n_examples=12, **about)
    rows = SimpleNamespace(open_invites=dict, quarantines=dict, clients=lambda: [joined])
    lab = SimpleNamespace(store=SimpleNamespace(holder=holder, state=rows))
    assert [one.state for one in clients_of(lab)] == [state]


def test_an_invite_that_is_refused_is_said_once(flnb, monkeypatch):
    def refuse(self):
        self._tell(ClientEvent("ended", "the invite was used"))
        raise AccessRefusedError("the invite was used")

    monkeypatch.setattr(Client, "__init__", _told)
    monkeypatch.setattr(Client, "run", refuse)
    shown = flnb("client", "join", "invite", "--task", "flnb.tasks:digits")
    assert (shown.code, shown.err) == (3, "error: the invite was used\n")


def _told(self, *_, on_event, **__):
    self._tell = on_event


def test_whoever_holds_the_lab_is_asked_for_the_invite_and_may_refuse(flnb, lab, monkeypatch):
    def refuse(client, expires):
        raise NameTakenError(f"{client!r} is the name of a simulated client here ({expires})")

    there = SimpleNamespace(invite=refuse)
    monkeypatch.setattr("flnb.cli.labs.steered", lambda path, at: nullcontext(there))
    shown = flnb("client", "invite", "c001")
    assert (shown.code, "c001' is the name of a simulated client here (2h)" in shown.err) == (
        2,
        True,
    )
