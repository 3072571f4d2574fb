"""Clients in a terminal: invited, listed, and an invite that is taken back."""

import json

import flnb as package
from flnb.coordinator.listening import Place


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
