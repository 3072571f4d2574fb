"""From a pass, an address or a folder to a coordinator, and what is said when that cannot be."""

import socket
import subprocess
import sys
import threading

import pytest

import flnb
from flnb.core.errors import AccessRefusedError, PlanError, RoundStateError, UnreachableError
from flnb.transport import Pass


def test_a_pass_is_taken_as_a_line_as_a_file_and_from_the_environment(coord, tmp_path, monkeypatch):
    line = coord.token("dr-lee").text
    (tmp_path / "pass.txt").write_text(f"\n{line}\n")
    monkeypatch.setenv("FLNB_PASS", line)
    for target in (line, f" “{line}” ", tmp_path / "pass.txt", None):
        with flnb.connect(target) as there:
            assert (there.address, there.role) == (coord.address, "viewer")


def test_a_folder_is_enough_on_the_same_machine_and_leaves_nothing_behind(coord):
    with pytest.raises(RoundStateError, match="has listened in this lab"):
        flnb.connect(coord.lab.path)
    coord.listen()
    with flnb.connect(str(coord.lab.path)) as there:
        assert there.role == "admin"
        assert there.tokens[0].name.startswith("local-")
    assert len(coord.tokens) == 0


def test_a_program_that_just_ends_gives_its_token_back(coord):
    coord.listen()
    program = f"import flnb; coord = flnb.connect({str(coord.lab.path)!r}); print(coord.tokens)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("local-")
    assert done.stderr == ""
    assert len(coord.tokens) == 0


def test_a_closed_connection_leaves_no_thread_and_may_be_closed_again(coord):
    with flnb.connect(coord.token("dr-lee").text) as there:
        assert "flnb-connection" in {one.name for one in threading.enumerate()}
    there.close()
    assert "flnb-connection" not in {one.name for one in threading.enumerate()}


def test_an_address_needs_a_token_which_may_come_from_the_environment(coord, monkeypatch):
    token = Pass.parse(coord.token("dr-lee", role="operator").text).token
    with pytest.raises(PlanError, match="needs a token"):
        flnb.connect(coord.address)
    monkeypatch.setenv("FLNB_TOKEN", token)
    with flnb.connect(coord.address) as there:
        assert there.role == "operator"


def test_an_encrypted_coordinator_is_spoken_to_with_its_certificate_only(coord):
    coord.listen("127.0.0.1", 0, tls=True)
    line = coord.token("dr-lee").text
    with flnb.connect(line) as there:
        assert there.role == "viewer"
    one, ca = Pass.parse(line), coord.lab.path / "tls" / "ca.pem"
    for authority in (ca, str(ca), ca.read_bytes(), ca.read_text()):
        with flnb.connect(one.address, one.token, ca=authority) as there:
            assert there.role == "viewer"
    with flnb.connect(coord.lab.path) as there:
        assert there.role == "admin"
    with pytest.raises(UnreachableError):
        flnb.connect(one.address, one.token)
    with pytest.raises(PlanError, match="no certificate for"):
        flnb.connect("10.1.2.3:7443", one.token)


def test_a_coordinator_that_asks_for_certificates_gets_ones_own(coord):
    coord.listen("127.0.0.1", 0, mutual_tls=True)
    grant = coord.token("dr-lee")
    with flnb.connect(grant.text, cert=grant.certificate) as there:
        assert there.role == "viewer"
    with flnb.connect(coord.lab.path) as there:
        assert there.role == "admin"
    with pytest.raises(UnreachableError):
        flnb.connect(grant.text)


def test_the_certificate_of_an_invite_or_pass_is_named_through_a_connection(coord):
    coord.listen("127.0.0.1", 0, mutual_tls=True)
    with flnb.connect(coord.lab.path) as admin:
        invitation, grant = admin.invite("hospital-a"), admin.token("dr-lee")
    assert invitation.command.endswith(" --cert hospital-a.pem")
    assert str(invitation.certificate) in invitation._repr_mimebundle_()["text/html"]
    with flnb.connect(grant.text, cert=grant.certificate) as there:
        assert there.role == "viewer"


def test_without_mutual_tls_no_certificate_is_named(coord):
    coord.listen()
    with flnb.connect(coord.lab.path) as admin:
        assert admin.invite("hospital-a").certificate is None
        assert admin.token("dr-lee").certificate is None


def test_what_is_no_pass_is_said_without_repeating_it(coord):
    line = coord.token("dr-lee").text
    with pytest.raises(PlanError, match="the pass was cut off"):
        flnb.connect(line[:-5])
    with pytest.raises(PlanError, match="this is no pass"):
        Pass.parse(coord.invite("hospital-a").text)
    with pytest.raises(PlanError, match="connect to what"):
        flnb.connect()


@pytest.mark.parametrize("target", ["s3://models/lab", "postgresql://ada:secret@db/flnb", "."])
def test_where_a_lab_lies_nobody_listens_and_that_is_said_with_what_to_do(target):
    with pytest.raises(PlanError, match="where a lab lies") as refused:
        flnb.connect(target, "token")
    assert all(way in refused.value.hint for way in ("flnb.open(", "flnb token"))
    assert "secret" not in str(refused.value)


def test_where_nobody_answers_is_said_with_what_to_do(coord):
    coord.listen()
    path, line = coord.lab.path, coord.token("dr-lee").text
    coord.stop()
    with pytest.raises(UnreachableError, match="cannot reach") as unreached:
        flnb.connect(path)
    assert "flnb coordinator serve" in unreached.value.hint
    with pytest.raises(UnreachableError) as unreached:
        flnb.connect(line)
    assert unreached.value.exit_code == 4


def test_a_connection_that_failed_is_not_heard_of_in_later_ones(coord, caplog):
    coord.listen()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    for _ in range(2):
        with pytest.raises(UnreachableError):
            flnb.connect(f"127.0.0.1:{nobody}", "token")
        with flnb.connect(coord.token("dr-lee").text):
            pass
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


def test_a_pass_of_somebody_else_opens_nothing(coord):
    one = Pass.parse(coord.token("dr-lee").text)
    forged = Pass(one.address, one.lab, one.name, f"{one.token[:-6]}AAAAAA")
    with pytest.raises(AccessRefusedError, match="refused"):
        flnb.connect(forged.text)
    assert one.token not in repr(one)
