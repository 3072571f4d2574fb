"""A folder of certificates: what is issued, found and renewed in it, and what is refused."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from flnb.core.errors import PlanError, StoreError
from flnb.transport.certified_file import read_certified, write_certified
from flnb.transport.certs import Authority, Certified, ServerCertificate, signed_by
from flnb.transport.handshake import Newest
from flnb.transport.hosts import covers
from flnb.transport.tls_folder import TlsFolder


class Clock:
    def __init__(self):
        self.time = datetime.now(UTC)

    def now(self):
        return self.time

    def monotonic_s(self):
        return self.time.timestamp()

    def wait(self, **span):
        self.time += timedelta(**span)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folder(tmp_path, clock):
    Authority.create(tmp_path / "tls", "lab", clock=clock)
    return TlsFolder(tmp_path / "tls", clock=clock)


def test_what_was_issued_is_found_and_only_its_owner_can_read_it(folder):
    server = folder.issue_server(["fl.example", "10.0.0.5"])
    client = folder.issue_client("hospital-a")
    assert folder.server_for("10.0.0.5").hosts == ("fl.example", "10.0.0.5")
    assert folder.client("hospital-a").changed is False
    assert client.path == folder.path / "clients" / "hospital-a.pem"
    assert {os.stat(one.path).st_mode & 0o777 for one in (server, client)} == {0o600}
    assert signed_by(read_certified(client.path, Certified).certificate_pem, folder.certificate)


def test_a_certificate_for_other_hosts_is_refused_with_the_command_that_helps(folder):
    folder.issue_server(["fl.example"])
    with pytest.raises(PlanError, match=r"is for fl\.example, not for 10\.0\.0\.5") as caught:
        folder.server_for("10.0.0.5")
    assert caught.value.hint == f"flnb certs issue 10.0.0.5 --dir {folder.path}"


def test_what_is_missing_is_said(tmp_path, folder):
    with pytest.raises(StoreError, match="no certificate of a coordinator"):
        folder.server_for("fl.example")
    for attempt in (
        lambda none: none.certificate,
        lambda none: none.issue_client("a"),
        lambda none: none.issue_server(["a"]),
    ):
        with pytest.raises(StoreError, match="no certificate authority"):
            attempt(TlsFolder(tmp_path / "elsewhere"))


def test_a_server_of_another_authority_is_refused_where_it_cannot_be_renewed(
    tmp_path, folder, clock
):
    other = Authority.create(tmp_path / "other", "lab", clock=clock)
    write_certified(folder.path / "server.pem", other.issue(["fl.example"]))
    (folder.path / "ca-key.pem").rename(tmp_path / "ca-key.pem")
    with pytest.raises(StoreError, match="did not issue"):
        folder.server_for("fl.example")


def test_renewing_issues_what_is_due_and_nothing_else(folder, clock):
    folder.issue_server(["fl.example"], 30)
    folder.issue_client("old", 30)
    folder.issue_client("long", 300)
    clock.wait(days=21)
    assert [(one.names, one.changed) for one in folder.renew()] == [
        (("fl.example",), True),
        (("long",), False),
        (("old",), True),
    ]
    assert not any(one.changed for one in folder.renew())
    assert folder.server_for("fl.example").expires_at > clock.now() + timedelta(days=29)


def test_without_the_authoritys_key_a_certificate_serves_until_it_ends(folder, clock):
    folder.issue_server(["fl.example"], 30)
    (folder.path / "ca-key.pem").unlink()
    clock.wait(days=29)
    assert folder.server_for("fl.example").hosts == ("fl.example",)
    clock.wait(days=2)
    with pytest.raises(StoreError, match="expired on"):
        folder.server_for("fl.example")


def test_a_labs_own_folder_is_made_and_takes_more_hosts(tmp_path, clock):
    folder = TlsFolder(tmp_path / "tls", clock=clock)
    first = folder.own_server_for("10.0.0.5", "flnb lab 1")
    assert folder.own_server_for("localhost", "flnb lab 1") == first
    second = folder.own_server_for("fl.example", "flnb lab 1")
    assert set(second.hosts) == {"fl.example", "10.0.0.5", "localhost", "127.0.0.1"}
    assert signed_by(second.certificate_pem, folder.certificate)


@pytest.mark.parametrize("name", ["../server", "a/b", "", ".hidden", "x" * 65, "a b"])
def test_a_client_that_is_called_like_a_path_gets_no_file(folder, name):
    with pytest.raises(PlanError, match="a client's name has"):
        folder.issue_client(name)
    with pytest.raises(PlanError, match="a client's name has"):
        folder.client(name)
    assert not (folder.path / "clients").exists()


def test_a_file_that_is_no_pair_is_refused(folder, tmp_path):
    one, two = (Authority.open(folder.path).issue(["a.example"]) for _ in range(2))
    path = tmp_path / "pair.pem"
    for pem, said in (
        (one.certificate_pem, "does not hold a certificate and its key"),
        (one.certificate_pem + two.key_pem, "do not fit"),
        (one.certificate_pem.replace(b"M", b"N", 3) + one.key_pem, "no certificate that can"),
    ):
        path.write_bytes(pem)
        path.chmod(0o600)
        with pytest.raises(StoreError, match=said):
            read_certified(path, ServerCertificate)
    path.chmod(0o644)
    with pytest.raises(StoreError, match="others on this machine"):
        read_certified(path, ServerCertificate)


@pytest.mark.parametrize(
    ("names", "host", "fits"),
    [
        (["fl.example"], "FL.example.", True),
        (["fl.example"], "l.example", False),
        (["*.lab.example"], "a.lab.example", True),
        (["*.lab.example"], "lab.example", False),
        (["::1"], "[0::1]", True),
        (["*.0.0.5"], "10.0.0.5", False),
    ],
)
def test_a_name_covers_a_host_as_tls_sees_it(names, host, fits):
    assert covers(names, host) is fits


def test_the_newest_certificate_is_shown_and_a_broken_file_changes_nothing(folder, clock, caplog):
    folder.issue_server(["fl.example"], 30)
    newest = Newest(folder, "fl.example", folder.server_for("fl.example"), clock=clock)
    first = newest()
    assert newest() is first
    folder.issue_server(["fl.example"], 40)  # by hand, in another process
    assert newest() != first
    last = newest()
    (folder.path / "server.pem").write_bytes(b"torn")
    assert newest() is last
    assert "stays the one before" in caplog.text


def test_a_certificate_that_becomes_due_while_it_is_shown_is_renewed(folder, clock):
    folder.issue_server(["fl.example"], 30)
    newest = Newest(folder, "fl.example", folder.server_for("fl.example"), clock=clock)
    before = newest()
    clock.wait(days=19)
    assert newest() == before
    clock.wait(days=2)
    after = newest()
    assert after.expires_at > before.expires_at
    assert folder.server_for("fl.example") == after
