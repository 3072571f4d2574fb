"""The lab's own authority: what it signs is taken by real TLS, and nothing else is."""

import contextlib
import os
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from flnb.core.errors import PlanError, StoreError
from flnb.transport.certs import Authority, Certified, ServerCertificate, fingerprint
from flnb.transport.identity import key_pem

HOSTS = ["localhost", "127.0.0.1"]


class Clock:
    def __init__(self, time=None):
        self.time = time or datetime.now(UTC)

    def now(self):
        return self.time

    def monotonic_s(self):
        return self.time.timestamp()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.create(tmp_path_factory.mktemp("lab") / "tls", "flnb lab 1")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another lab's, which has taken the same name."""
    return Authority.create(tmp_path_factory.mktemp("other") / "tls", "flnb lab 1")


def context_of(purpose, trusted, certified, folder):
    context = ssl.SSLContext(purpose)
    # Stricter than most clients are: whatever is not as the standards say is refused.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if trusted is not None:
        context.load_verify_locations(cadata=trusted.certificate.decode())
        context.verify_mode = ssl.CERT_REQUIRED
    if certified is not None:
        path = folder / "chain.pem"
        path.write_bytes(certified.certificate_pem + certified.key_pem)
        context.load_cert_chain(path)
    return context


def shake_hands(folder, server, host, trusted, client=None, asks=None):
    """A whole TLS handshake between Python's ssl and itself, in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = context_of(ssl.PROTOCOL_TLS_CLIENT, trusted, client, folder)
    there = context_of(ssl.PROTOCOL_TLS_SERVER, asks, server, folder)
    ends = [
        here.wrap_bio(to_client, to_server, server_hostname=host),
        there.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(5):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    ends[0].write(b"hello")
    assert ends[1].read() == b"hello"
    return ends[1].getpeercert()


@pytest.mark.parametrize("host", [*HOSTS, "::1", "hub.hospital.example", "a.wild.example"])
def test_python_takes_a_server_under_each_of_its_hosts(tmp_path, authority, host):
    hosts = [*HOSTS, "[::1]", "Hub.Hospital.example.", "*.wild.example"]
    shake_hands(tmp_path, authority.issue(hosts), host, authority)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.2", "::1", "a.localhost", "local.host"])
def test_python_refuses_a_server_under_another_host(tmp_path, authority, host):
    with pytest.raises(ssl.SSLCertVerificationError, match=r"[mM]ismatch|not valid for"):
        shake_hands(tmp_path, authority.issue(HOSTS), host, authority)


def test_python_refuses_a_server_of_another_authority_even_of_the_same_name(
    tmp_path, authority, other
):
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, other.issue(HOSTS), "localhost", authority)


def test_python_refuses_a_server_that_has_only_a_clients_certificate(tmp_path, authority):
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        shake_hands(tmp_path, authority.issue_client("localhost"), "localhost", authority)


def test_a_certificate_of_a_server_cannot_sign_others(tmp_path, authority):
    server = authority.issue(HOSTS)
    forger = Authority(
        x509.load_pem_x509_certificate(server.certificate_pem),
        load_pem_private_key(server.key_pem, None),
        Clock(),
    )
    forged = forger.issue(["evil.example"])
    chained = ServerCertificate(forged.certificate_pem + server.certificate_pem, forged.key_pem)
    with pytest.raises(ssl.SSLCertVerificationError, match="invalid CA"):
        shake_hands(tmp_path, chained, "evil.example", authority)


def test_python_refuses_a_server_whose_time_is_over(tmp_path):
    past = Authority.create(tmp_path / "ca", "lab", clock=Clock(datetime(2024, 1, 1, tzinfo=UTC)))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        shake_hands(tmp_path, past.issue(HOSTS, 30), "localhost", past)


def test_a_client_whose_clock_is_hours_slow_can_connect(authority):
    certificates = authority.certificate, authority.issue(HOSTS).certificate_pem
    for pem in certificates:
        began = x509.load_pem_x509_certificate(pem).not_valid_before_utc
        assert began < datetime.now(UTC) - timedelta(hours=23)


def test_a_client_shows_who_it_is_where_it_is_asked(tmp_path, authority, other):
    server, client = authority.issue(HOSTS), authority.issue_client("hospital-a")
    shown = shake_hands(tmp_path, server, "localhost", authority, client, asks=authority)
    assert shown["subject"] == ((("commonName", "hospital-a"),),)
    for stranger in (other.issue_client("hospital-a"), authority.issue(HOSTS), None):
        with pytest.raises(ssl.SSLError):
            shake_hands(tmp_path, server, "localhost", authority, stranger, asks=authority)


class Greeter(grpc.GenericRpcHandler):
    def service(self, call):
        return grpc.unary_unary_rpc_method_handler(
            lambda _, context: context.auth_context().get("x509_common_name", [b"nobody"])[0]
        )


@contextlib.contextmanager
def grpc_server(certificate, asks=None):
    credentials = grpc.ssl_server_credentials(
        [(certificate.key_pem, certificate.certificate_pem)],
        root_certificates=asks and asks.certificate,
        require_client_auth=asks is not None,
    )
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool, [Greeter()])
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait()


def greet(target, trusted, client=None, **options):
    credentials = grpc.ssl_channel_credentials(
        trusted.certificate, client and client.key_pem, client and client.certificate_pem
    )
    named = [(f"grpc.{name}", value) for name, value in options.items()]
    with grpc.secure_channel(target, credentials, named) as channel:
        return channel.unary_unary("/greeter/Greet")(b"", timeout=10)


@pytest.mark.parametrize("host", HOSTS)
def test_grpc_takes_a_server_under_each_of_its_hosts(authority, host):
    with grpc_server(authority.issue(HOSTS)) as port:
        assert greet(f"{host}:{port}", authority) == b"nobody"


def test_grpc_refuses_another_host_and_another_authority(authority, other):
    with grpc_server(authority.issue(["localhost", "127.0.0.9"])) as port:
        for target, trusted, options in (
            (f"127.0.0.1:{port}", authority, {}),
            (f"localhost:{port}", authority, {"ssl_target_name_override": "evil.example"}),
            (f"localhost:{port}", other, {}),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                greet(target, trusted, **options)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert greet(f"localhost:{port}", authority) == b"nobody"


def test_grpc_knows_a_client_by_its_certificate_and_lets_no_other_in(authority, other):
    with grpc_server(authority.issue(HOSTS), asks=authority) as port:
        client = authority.issue_client("hospital-a")
        assert greet(f"localhost:{port}", authority, client) == b"hospital-a"
        for stranger in (None, other.issue_client("hospital-a"), authority.issue(HOSTS)):
            with pytest.raises(grpc.RpcError) as refused:
                greet(f"localhost:{port}", authority, stranger)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_an_authority_that_is_opened_again_is_the_same(tmp_path):
    made = Authority.create(tmp_path / "a" / "tls", "lab")
    opened = Authority.open(str(tmp_path / "a" / "tls"))
    again = Authority.open_or_create(tmp_path / "a" / "tls", "another name")
    assert made.certificate == opened.certificate == again.certificate
    assert (tmp_path / "a" / "tls" / "ca.pem").read_bytes() == made.certificate
    shake_hands(tmp_path, opened.issue(HOSTS), "localhost", made)


def test_only_its_owner_can_read_the_key(tmp_path):
    Authority.create(tmp_path / "tls", "lab")
    key = tmp_path / "tls" / "ca-key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o644)
    with pytest.raises(StoreError, match="mode 644") as refused:
        Authority.open(tmp_path / "tls")
    assert "chmod 600" in refused.value.hint


def test_an_authority_is_never_written_over(tmp_path):
    Authority.create(tmp_path, "lab")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(StoreError, match="already"):
        Authority.create(tmp_path, "lab")
    (tmp_path / "ca-key.pem").unlink()
    with pytest.raises(StoreError, match="already"):
        Authority.create(tmp_path, "lab")
    with pytest.raises(StoreError, match="no key"):
        Authority.open_or_create(tmp_path, "lab")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "ca.pem": before["ca.pem"]
    }


def test_after_a_crash_between_its_two_files_the_key_that_is_there_is_taken(tmp_path):
    made = Authority.create(tmp_path / "tls", "lab")
    (tmp_path / "tls" / "ca.pem").unlink()
    again = Authority.open_or_create(tmp_path / "tls", "lab")
    shake_hands(tmp_path, again.issue(HOSTS), "localhost", made)


def test_all_who_create_at_the_same_moment_have_the_same_one(tmp_path):
    start, found = threading.Barrier(6), []

    def create():
        start.wait()
        found.append(Authority.open_or_create(tmp_path / "tls", "lab").certificate)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(tmp_path / "tls" / "ca.pem").read_bytes()] * 6
    assert sorted(os.listdir(tmp_path / "tls")) == ["ca-key.pem", "ca.pem"]


def test_files_that_are_missing_damaged_or_mixed_up_are_named(tmp_path, other):
    with pytest.raises(StoreError, match="no certificate authority"):
        Authority.open(tmp_path)
    Authority.create(tmp_path, "lab")
    (tmp_path / "ca-key.pem").write_bytes(key_pem(other._key))
    with pytest.raises(StoreError, match="do not fit"):
        Authority.open(tmp_path)
    (tmp_path / "ca-key.pem").write_bytes(key_pem(Ed25519PrivateKey.generate()))
    with pytest.raises(StoreError, match="another kind"):
        Authority.open(tmp_path)
    (tmp_path / "ca.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nMIIB\n")
    with pytest.raises(StoreError, match="not a certificate"):
        Authority.open(tmp_path)


def test_the_fingerprint_is_that_of_the_certificate_as_other_tools_show_it(authority, other):
    der = ssl.PEM_cert_to_DER_cert(authority.certificate.decode())
    digest = x509.load_der_x509_certificate(der).fingerprint(SHA256()).hex()
    assert authority.fingerprint.replace(":", "").lower() == digest
    assert [len(group) for group in authority.fingerprint.split(":")] == [2] * 32
    assert fingerprint(authority.certificate) == authority.fingerprint != other.fingerprint


def test_a_certificate_lives_as_long_as_was_asked_but_never_longer_than_its_authority(tmp_path):
    clock = Clock(datetime(2030, 1, 1, tzinfo=UTC))
    authority = Authority.create(tmp_path, "lab", clock=clock)
    assert authority.issue(HOSTS).expires_at == clock.time + timedelta(days=397)
    assert authority.issue_client("a", 5).expires_at == clock.time + timedelta(days=5)
    assert authority.issue(HOSTS, 10**9).expires_at == authority.expires_at
    clock.time = authority.expires_at - timedelta(days=1)
    assert authority.issue(HOSTS).expires_at == authority.expires_at
    clock.time = authority.expires_at
    with pytest.raises(StoreError, match="expired on 2039-12-30"):
        authority.issue(HOSTS)


def test_what_an_authority_issues_is_no_authority(authority):
    for issued in (authority.issue(HOSTS), authority.issue_client("a")):
        certificate = x509.load_pem_x509_certificate(issued.certificate_pem)
        assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_certificate_is_renewed_in_the_last_third_of_its_life_and_not_before(tmp_path):
    clock = Clock(datetime(2030, 1, 1, tzinfo=UTC))
    authority = Authority.create(tmp_path, "lab", clock=clock)
    first = authority.issue([*HOSTS, "*.a.example", "bücher.example", "::1"], 90)
    clock.time += timedelta(days=60)
    assert first.renew_if_due(authority) is first
    clock.time += timedelta(seconds=1)
    second = first.renew_if_due(authority)
    assert second.hosts == first.hosts
    assert second.expires_at == clock.time + timedelta(days=90)
    assert second.key_pem != first.key_pem
    assert second.renew_if_due(authority) is second


def test_nothing_is_renewed_over_and_over_when_its_authority_ends(tmp_path):
    clock = Clock(datetime(2030, 1, 1, tzinfo=UTC))
    authority = Authority.create(tmp_path, "lab", clock=clock)
    clock.time = authority.expires_at - timedelta(days=30)
    last = authority.issue(HOSTS)
    clock.time += timedelta(days=29)
    assert last.renew_if_due(authority) is last


def test_a_certificate_of_another_authority_is_due_at_once(tmp_path, authority, other):
    foreign = other.issue(HOSTS, 90)
    mine = foreign.renew_if_due(authority)
    assert mine is not foreign
    shake_hands(tmp_path, mine, "localhost", authority)


def test_hosts_are_listed_once_each_and_as_names_or_addresses(authority):
    hosts = ["LOCALHOST", "localhost", "127.0.0.1", "[::1]", "0::1%eth0", "x_y.a"]
    assert authority.issue(hosts).hosts == ("localhost", "127.0.0.1", "::1", "x_y.a")
    assert authority.issue("localhost").hosts == ("localhost",)
    assert authority.issue(["bücher.example"]).hosts == ("xn--bcher-kva.example",)


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "localhost:5005",
        "https://localhost",
        "a b",
        "a..b",
        ".a",
        "-a",
        "a-.b",
        "*",
        "a.*.b",
        "256.1.1.1",
        "1.2.3",
        "a" * 64,
        ("a" * 60 + ".") * 5,
        "a\n",
        "[localhost]",
        "a\0b",
        "\ud800",
    ],
)
def test_what_is_no_host_is_refused(authority, host):
    with pytest.raises(PlanError, match="is not a host"):
        authority.issue(["localhost", host])


def test_what_cannot_be_certified_is_refused(authority, tmp_path):
    with pytest.raises(PlanError, match="at least one host"):
        authority.issue([])
    with pytest.raises(PlanError, match="at least a day, got 0"):
        authority.issue(HOSTS, 0)
    for name in ("", "n" * 65, "é" * 33, "\ud800"):
        with pytest.raises(PlanError, match="is not a name"):
            authority.issue_client(name)
        with pytest.raises(PlanError, match="is not a name"):
            Authority.create(tmp_path / "none", name)
    assert not (tmp_path / "none").exists()


def test_keys_are_not_shown(authority):
    for issued in (authority.issue(HOSTS), authority.issue_client("a")):
        assert isinstance(issued, Certified)
        assert "PRIVATE" not in repr(issued) + str(issued) + f"{authority!r}"
        assert f"{issued.expires_at:%Y-%m-%d}" in repr(issued)


def test_a_clients_certificate_names_it_and_is_no_servers(authority):
    certificate = x509.load_pem_x509_certificate(authority.issue_client("a").certificate_pem)
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert name.value == "a"
    assert list(usage) == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]
