"""A coordinator as a service, as it is begun in a terminal."""

import json

import pytest

from flnb.cli import coordinator


@pytest.fixture(autouse=True)
def _ends_at_once(monkeypatch):
    monkeypatch.setattr(coordinator, "_until_told_to_stop", lambda *_: None)


def test_a_folder_without_a_lab_is_said_first_and_one_with_a_lab_is_not(flnb, tmp_path):
    folder = tmp_path / "labb"
    said = flnb("coordinator", "serve", str(folder), "--json")
    assert said.err == f"there is no lab at {folder}: making a new one\n"
    assert json.loads(said.out)["lab"] == str(folder)
    again = flnb("coordinator", "serve", str(folder))
    assert again.err.startswith("listening at 127.0.0.1:")


def test_where_clients_reach_it_is_asked_for_when_it_listens_everywhere(flnb, tmp_path):
    everywhere = ("coordinator", "serve", str(tmp_path / "lab"), "--host", "0.0.0.0")
    refused = flnb(*everywhere)
    assert refused.code == 2
    assert "--public-address" in refused.err
    served = flnb(*everywhere, "--public-address", "localhost", "--json")
    assert json.loads(served.out)["address"].startswith("localhost:")
