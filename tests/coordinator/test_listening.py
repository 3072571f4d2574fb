"""How a coordinator listens: what it remembers, its certificates, mutual TLS, taken ports."""

import asyncio
import json
import socket
import ssl
from datetime import UTC, datetime, timedelta

import pytest

import flnb
from flnb.core.errors import PlanError, RoundStateError, StoreError, UnreachableError
from flnb.transport import Authority, Identity, Link
from flnb.transport.certified_file import read_certified, write_certified
from flnb.transport.certs import Certified
from flnb.transport.invite import Invite
from flnb.transport.tls_folder import TlsFolder


@pytest.fixture
def coordinator(tmp_path):
    with flnb.Coordinator(tmp_path / "lab") as coordinator:
        yield coordinator


@pytest.fixture
def tls(tmp_path):
    Authority.create(tmp_path / "tls", "hospital")
    folder = TlsFolder(tmp_path / "tls")
    folder.issue_server(["127.0.0.1", "localhost"])
    return folder


def join(text, own=None):
    """Join with an invite as a client does; its name and its lab."""
    invite = Invite.parse(text)

    async def scene():
        link = Link(invite.address, invite.certificate, own=own)
        try:
            return await link.join(invite.token, Identity.create())
        finally:
            await link.close()

    return asyncio.run(scene())


def shown_at(address, authority):
    """The certificate that a server shows, verified."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cadata=authority.decode())
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host, int(port))) as line,
        context.wrap_socket(line, server_hostname=host) as shaken,
    ):
        return shaken.getpeercert(True)


def test_certificates_of_a_folder_are_used_and_remembered(coordinator, tls, tmp_path):
    address = coordinator.listen("127.0.0.1", 0, tls_dir=tls.path)
    invite = Invite.parse(coordinator.invite("a").text)
    assert invite.certificate == tls.certificate
    assert join(invite.text) == ("a", coordinator.lab.store.id)
    assert not (tmp_path / "lab" / "tls").exists()
    coordinator.stop()
    coordinator.start()
    assert coordinator.listen() == address
    assert Invite.parse(coordinator.invite("b").text).certificate == tls.certificate


def test_every_address_of_a_machine_is_none_to_invite_clients_to(coordinator):
    with pytest.raises(PlanError, match="every address of this machine") as refused:
        coordinator.listen("0.0.0.0")
    assert "--public-address" in refused.value.hint
    address = coordinator.listen("0.0.0.0", public_address="localhost", tls=True)
    made = coordinator.invite("a")
    assert Invite.parse(made.text).address == address == coordinator.address
    assert address.startswith("localhost:")
    assert join(made.text) == ("a", coordinator.lab.store.id)
    coordinator.stop()
    coordinator.start()
    assert coordinator.listen() == address


def test_a_folder_that_does_not_fit_is_refused_and_nothing_listens(coordinator, tls, tmp_path):
    with pytest.raises(PlanError, match=r"is for 127\.0\.0\.1, localhost, not for 203\.0\.113\.7"):
        coordinator.listen("203.0.113.7", tls_dir=tls.path)
    with pytest.raises(StoreError, match="no certificate of a coordinator"):
        coordinator.listen(tls_dir=tmp_path)
    with pytest.raises(PlanError, match="shall not encrypt"):
        coordinator.listen(tls=False, tls_dir=tls.path)
    assert coordinator.address is None


def test_under_mutual_tls_only_the_invited_with_their_file_get_through(coordinator, tls):
    coordinator.listen(tls_dir=tls.path, mutual_tls=True)
    made = coordinator.invite("hospital-a")
    assert made.certificate == tls.path / "clients" / "hospital-a.pem"
    assert made.command.endswith(" --cert hospital-a.pem")
    strangers = Authority.create(tls.path.parent / "strangers", "hospital")
    for own in (None, strangers.issue_client("hospital-a")):
        with pytest.raises(UnreachableError):
            join(made.text, own)
    assert join(made.text, read_certified(made.certificate, Certified))[0] == "hospital-a"


def test_a_client_with_its_file_trains_under_mutual_tls(coordinator, tls, tmp_path):
    coordinator.listen(tls_dir=tls.path, mutual_tls=True)
    made = coordinator.invite("c000")
    task = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=2, seed=0))
    plan = flnb.Plan(strategy="fedavg", rounds=1, invite=1, seed=1)
    run = coordinator.run(plan, task)
    client = flnb.Client(made.text, task, home=tmp_path / "home", certificate=made.certificate)

    async def scene():
        stays = asyncio.create_task(client.arun())
        await asyncio.to_thread(run.wait, 60)
        client.stop()
        await stays

    asyncio.run(scene())
    assert run.round(1).clients.df()["outcome"].tolist() == ["accepted"]


class Years:
    """A clock that is some years slow."""

    def now(self):
        return datetime.now(UTC) - timedelta(days=3 * 365)

    def monotonic_s(self):
        return 0.0


def test_a_client_whose_file_is_over_or_missing_hears_it_at_once(coordinator, tls, tmp_path):
    coordinator.listen(tls_dir=tls.path, mutual_tls=True)
    made = coordinator.invite("c000")
    task = flnb.tasks.digits(model="softmax", split=flnb.IID(clients=2, seed=0))
    old = Authority.create(tmp_path / "old", "hospital", clock=Years()).issue_client("c000")
    write_certified(tmp_path / "old.pem", old)
    for name, said in (("no.pem", "there is no key at"), ("old.pem", "expired on")):
        client = flnb.Client(
            made.text, task, home=tmp_path / "home", certificate=tmp_path / name, patience_s=1e9
        )
        with pytest.raises(StoreError, match=said):
            client.run()


def test_a_certificate_issued_while_it_listens_is_shown_to_whoever_comes_next(coordinator, tls):
    address = coordinator.listen(tls_dir=tls.path)
    before = shown_at(address, tls.certificate)
    assert shown_at(address, tls.certificate) == before
    tls.issue_server(["127.0.0.1"])
    assert shown_at(address, tls.certificate) != before


def test_a_cell_that_is_run_again_keeps_the_port_and_another_wish_is_refused(coordinator):
    address = coordinator.listen("127.0.0.1", 0)
    assert coordinator.listen("127.0.0.1", 0) == address
    assert coordinator.listen() == address
    for wish in ({"port": 1}, {"host": "203.0.113.7"}, {"tls": True}, {"mutual_tls": True}):
        with pytest.raises(RoundStateError, match=f"listens already, at {address}"):
            coordinator.listen(**wish)


def test_a_port_that_is_taken_is_named_and_another_try_works(coordinator):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PlanError, match=f"cannot listen on port {port} of 127.0.0.1"):
            coordinator.listen("127.0.0.1", port)
    assert coordinator.listen("127.0.0.1", port) == f"127.0.0.1:{port}"


def test_on_a_public_address_there_must_be_tls_and_a_secret_that_nobody_else_knows(
    coordinator, monkeypatch
):
    monkeypatch.delenv("JWT_SECRET", raising=False)
    secret = coordinator.lab.path / "secret"
    with pytest.raises(PlanError, match="must not listen without TLS"):
        coordinator.listen("203.0.113.7", tls=False)
    secret.chmod(0o644)
    with pytest.raises(PlanError, match=r"others on this machine can reach \(mode 644\)"):
        coordinator.listen("203.0.113.7")
    for fixed in (lambda: secret.chmod(0o600), lambda: monkeypatch.setenv("JWT_SECRET", "x" * 32)):
        fixed()
        with pytest.raises(PlanError, match=r"cannot listen on port 0 of 203\.0\.113\.7"):
            coordinator.listen("203.0.113.7")
        secret.chmod(0o644)


def test_a_place_from_before_certificates_is_read(coordinator):
    place = {"host": "127.0.0.1", "port": 0, "tls": False}
    (coordinator.lab.path / "listen.json").write_text(json.dumps(place))
    assert coordinator.listen().startswith("127.0.0.1:")
