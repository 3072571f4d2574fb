import json
import stat

import pytest

from flnb.store import LabStore


@pytest.fixture
def tls(flnb, tmp_path):
    folder = tmp_path / "tls"
    assert flnb("certs", "init", "--dir", str(folder)).code == 0
    return folder


@pytest.mark.parametrize("command", ["certs init", "certs issue", "certs renew"])
def test_every_help_has_one_example_and_speaks_json(flnb, command):
    shown = flnb(*command.split(), "--help")
    assert shown.out.count(f"Example: flnb {command}") == 1
    assert "--json" in shown.out
    assert max(len(line.rstrip()) for line in shown.out.splitlines()) <= 80


def test_an_authority_is_made_once_and_shows_its_fingerprint(flnb, tmp_path):
    made = flnb("certs", "init", "--dir", str(tmp_path / "tls"), "--json")
    facts = json.loads(made.out)
    assert len(facts["fingerprint"].split(":")) == 32
    assert stat.S_IMODE((tmp_path / "tls" / "ca-key.pem").stat().st_mode) == 0o600
    again = flnb("certs", "init", "--dir", str(tmp_path / "tls"))
    assert again.code == 1
    assert "there is a certificate authority" in again.err


def test_certificates_are_issued_for_hosts_and_for_clients(flnb, tls):
    arguments = ["fl.example", "10.0.0.5", "--client", "hospital-a", "--dir", str(tls)]
    issued = json.loads(flnb("certs", "issue", *arguments, "--json").out)
    assert [one["names"] for one in issued] == [["fl.example", "10.0.0.5"], ["hospital-a"]]
    assert (tls / "server.pem").exists()
    assert (tls / "clients" / "hospital-a.pem").exists()
    shown = flnb("certs", "issue", *arguments)
    assert "fl.example, 10.0.0.5  issued" in shown.out


def test_only_what_is_due_is_renewed(flnb, tls):
    flnb("certs", "issue", "fl.example", "--dir", str(tls))
    (renewed,) = json.loads(flnb("certs", "renew", "--dir", str(tls), "--json").out)
    assert renewed["issued"] is False
    assert "good" in flnb("certs", "renew", "--dir", str(tls)).out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["issue"], 2, "nothing to issue"),
        (["issue", "https://fl.example"], 2, "is not a host"),
        (["issue", "--client", "../x"], 2, "a client's name has"),
        (["issue", "fl.example", "--days", "0"], 2, "days"),
    ],
)
def test_what_cannot_be_issued_is_said(flnb, tls, arguments, code, said):
    shown = flnb("certs", *arguments, "--dir", str(tls))
    assert shown.code == code
    assert said in shown.err


def test_without_an_authority_the_command_that_makes_one_is_named(flnb, tmp_path):
    shown = flnb("certs", "issue", "fl.example", "--dir", str(tmp_path))
    assert shown.code == 1
    assert "flnb certs init" in shown.err


def test_by_default_they_lie_in_the_lab_which_must_be_there(flnb, tmp_path):
    lab = tmp_path / "lab"
    shown = flnb("certs", "init", "--lab", str(lab))
    assert shown.code == 2
    assert "--dir DIR" in shown.err
    assert not lab.exists()
    LabStore.open(lab).close()
    assert flnb("certs", "init", "--lab", str(lab)).code == 0
    assert (lab / "tls" / "ca.pem").exists()
