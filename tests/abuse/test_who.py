"""Tokens, keys and invites that are not good enough, against a real coordinator."""

import asyncio
import json
import os
import subprocess
import sys
import time

import jwt
import pytest

from flnb.core.clock import SYSTEM_CLOCK
from flnb.core.errors import (
    AccessRefusedError,
    FLBaseError,
    IntegrityError,
    NotFoundError,
)
from flnb.transport import PROTOCOL, Identity, Link
from flnb.transport.signing import signing_keys
from flnb.transport.tokens import TokenIssuer
from flnb.transport.v1 import federation_pb2 as pb
from tests.abuse.served import honest


def issuer_of(served, lab=None):
    """Signs as the coordinator does: with the lab's own key."""
    keys = signing_keys(served.lab.store.secret)
    return TokenIssuer(keys, lab or served.lab.store.id, current=next(iter(keys)))


def forged(served, key=None, header=None, **claims):
    """A token with any claims, signed with the lab's own key unless another is given."""
    good = jwt.decode(
        issuer_of(served).issue("honest", "client", 60), options={"verify_signature": False}
    )
    keys = signing_keys(served.lab.store.secret)
    kid, own = next(iter(keys.items()))
    algorithm = (header or {}).get("alg", "HS256")
    signing = None if algorithm == "none" else key or own
    return jwt.encode(good | claims, signing, algorithm, headers={"kid": kid} | (header or {}))


async def session_error(link, token):
    """How a session with this token ends."""
    call = link.session(token)
    with pytest.raises(FLBaseError) as caught:
        await anext(aiter(call))
    return caught.value


async def goodbye(call):
    """Read until the coordinator says goodbye."""
    async with asyncio.timeout(10):
        async for note in call:
            if note.HasField("goodbye"):
                return note.goodbye
    raise AssertionError("the session ended without a word")


def all_doors(client, token):
    """Everything that a token opens."""
    work = pb.AssignmentId(run="r", round=1, client=client.name)
    return (
        lambda: anext(aiter(client.link.session(token))),
        lambda: anext(aiter(client.link.fetch(token, bytes(32), [0]))),
        lambda: client.link.send(token, work, [0], lambda places: b"x"),
    )


BAD = {
    "expired": (lambda s: forged(s, iat=time.time() - 99, exp=time.time() - 1), "expired"),
    "of another lab": (lambda s: issuer_of(s, "another").issue("honest", "client", 60), "another"),
    "of another key": (lambda s: forged(s, key=b"k" * 32), "signature does not fit"),
    "unsigned": (lambda s: forged(s, header={"alg": "none"}), 'algorithm is "none"'),
    "for another audience": (lambda s: forged(s, aud="flnb:other"), "another lab .audience"),
    "of a longer algorithm": (lambda s: forged(s, header={"alg": "HS512"}), 'algorithm is "HS512"'),
    "of a role that there is not": (lambda s: forged(s, scope="root"), "a role that there is not"),
    "no token": (lambda s: "x" * 100, "cannot be read"),
}


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("kind", BAD)
async def test_a_token_opens_no_door_that_is(served, kind):
    make, said = BAD[kind]
    async with honest(served, "doors") as client:
        for door in all_doors(client, make(served)):
            with pytest.raises(AccessRefusedError, match=said):
                await door()
        assert await client.ping_s() < 5


async def test_a_token_of_a_viewer_is_no_clients(served):
    async with honest(served) as client:
        error = await session_error(client.link, issuer_of(served).issue("v", "viewer", 60))
        assert "this needs the role client" in str(error)


async def test_a_join_token_serves_one_key_and_that_again(served):
    invite = served.invite("once")
    link, first = Link(invite.address), Identity.create()
    try:
        assert (await link.join(invite.token, first))[0] == "once"
        assert (await link.join(invite.token, first))[0] == "once"
        with pytest.raises(AccessRefusedError, match="was used by another client"):
            await link.join(invite.token, Identity.create())
        assert (await link.sign_in("once", invite.lab, first)).token
    finally:
        await link.close()


async def test_a_signed_challenge_opens_once_and_for_its_client(served):
    async with honest(served, "anna") as anna, honest(served, "ben") as ben:
        asked = pb.ChallengeRequest(protocol=PROTOCOL, client="anna")
        nonce = (await anna.link._ask("Challenge", asked, pb.ChallengeReply)).nonce
        for signed_by, name, said in (
            (ben, "anna", "not signed by the key of 'anna'"),
            (anna, "ben", "not given to this client"),
            (anna, "anna", None),
            (anna, "anna", "has been answered"),
        ):
            signature = signed_by.identity.sign("flnb-sign-in", anna.lab.encode(), nonce)
            request = pb.SignInRequest(client=name, nonce=nonce, signature=signature)
            if said is None:
                await anna.link._ask("SignIn", request, pb.SignInReply)
                continue
            with pytest.raises(AccessRefusedError, match=said):
                await anna.link._ask("SignIn", request, pb.SignInReply)


async def test_of_two_who_use_one_key_the_newer_session_wins_and_the_older_hears_why(served):
    async with honest(served, "copied") as owner:
        thief = Link(served.address)
        token = (await thief.sign_in("copied", owner.lab, owner.identity)).token
        call = thief.session(token)
        hello = pb.Hello(protocol=PROTOCOL, layout_hash="l", n_examples=1)
        await call.write(pb.ClientNote(hello=hello))
        assert "another session of this client has begun" in (await goodbye(owner.call)).reason
        await anext(aiter(call))
        began_s = time.monotonic()
        served.lab.store.state.revoke_client("copied", "its key was copied", SYSTEM_CLOCK.now())
        assert "its key was copied" in (await goodbye(call)).reason
        assert time.monotonic() - began_s < 1.5
        for link in (thief, owner.link):
            with pytest.raises(AccessRefusedError, match="was revoked: its key was copied"):
                await link.sign_in("copied", owner.lab, owner.identity)
        await thief.close()


async def test_a_new_invite_ends_the_old_key_within_a_second_and_keeps_the_history(served):
    async with honest(served, "moved", n_examples=77) as old:
        invite, identity = served.invite("moved"), Identity.create()
        link = Link(invite.address)
        began_s = time.monotonic()
        await link.join(invite.token, identity)
        assert "another key joined under this name" in (await goodbye(old.call)).reason
        assert time.monotonic() - began_s < 1.0
        with pytest.raises(AccessRefusedError, match="was revoked"):
            await old.ping_s()
        with pytest.raises(AccessRefusedError, match="not signed by the key"):
            await old.sign_in()
        assert (await link.sign_in("moved", invite.lab, identity)).token
        record = served.lab.store.state.client("moved")
        assert (record.n_examples, record.public_key) == (77, identity.public)
        rows = served.lab.sql("SELECT n_examples FROM clients WHERE client = 'moved'")
        assert rows.df()["n_examples"].tolist() == [77]
        await link.close()


async def test_a_token_from_before_the_client_joined_is_void(served):
    """Whoever held the key before may have one, and a new coordinator knows of no older session."""
    async with honest(served, "before") as one:
        early = issuer_of(served).issue("before", "client", 300.0)  # as if given 300 s ago
        for door in all_doors(one, early):
            with pytest.raises(AccessRefusedError, match="the token of before was revoked"):
                await door()


async def test_a_client_gets_nothing_that_is_another_clients(served):
    async with honest(served, "curious") as one:
        work = pb.AssignmentId(run="r", generation=0, round=1, stage="fit", client="somebody")
        with pytest.raises(NotFoundError):
            await anext(aiter(one.link.fetch(one.token, bytes(32), [0])))
        with pytest.raises(IntegrityError, match="no update of curious"):
            await one.link.send(one.token, work, [0], lambda places: b"x")
        envelope = pb.Envelope(assignment=work, n_examples=1).SerializeToString()
        signature = one.identity.sign("flnb-update", envelope)
        offer = pb.Offer(envelope=envelope, signature=signature)
        await one.call.write(pb.ClientNote(offer=offer))
        verdict = (await anext(aiter(one.call))).verdict
        assert verdict.kind == pb.Verdict.REFUSED


NOBODY = """
import json, os, sys
os.setgid(65534), os.setgroups([]), os.setuid(65534)
found = {}
for name in sys.argv[1:]:
    try:
        open(name, "rb").read()
        found[name] = "read"
    except OSError as error:
        found[name] = error.strerror
print(json.dumps(found))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_of_this_machine_reads_no_key_and_no_secret(served, tmp_path):
    secret = served.lab_path / "secret"
    Identity.load_or_create(tmp_path / "home" / "identity.pem")
    files = [str(secret), str(tmp_path / "home" / "identity.pem")]
    open_ways = [folder for folder in secret.parents if not folder.stat().st_mode & 0o001]
    for folder in open_ways:  # so that nothing but the file's own mode is in the way
        folder.chmod(folder.stat().st_mode | 0o001)
    try:
        told = subprocess.check_output([sys.executable, "-I", "-c", NOBODY, *files], cwd="/")
    finally:
        for folder in open_ways:
            folder.chmod(folder.stat().st_mode & ~0o001)
    assert json.loads(told) == dict.fromkeys(files, "Permission denied")


async def test_a_client_that_changes_its_key_goes_on_and_whoever_copied_the_old_one_does_not(
    served,
):
    async with honest(served, "turned", n_examples=78) as owner:
        thief, old, fresh = Link(served.address), owner.identity, Identity.create()
        began_s = time.monotonic()
        await owner.link.rotate("turned", owner.lab, old, fresh)
        assert "it has a new key" in (await goodbye(owner.call)).reason
        assert time.monotonic() - began_s < 1.0
        with pytest.raises(AccessRefusedError, match="was revoked"):
            await owner.ping_s()
        for again in (
            lambda: thief.sign_in("turned", owner.lab, old),
            lambda: thief.rotate("turned", owner.lab, old, Identity.create()),
            lambda: thief.rotate("turned", owner.lab, old, old),
        ):
            with pytest.raises(AccessRefusedError, match="not signed by the key of 'turned'"):
                await again()
        await owner.link.rotate("turned", owner.lab, old, fresh)  # as if no answer had come
        owner.identity = fresh
        await owner.sign_in()
        await owner.enter()
        assert served.lab.store.state.client("turned").n_examples == 10
        await thief.close()


async def test_a_change_of_keys_is_signed_by_both_and_seen_by_an_admin(served):
    async with honest(served, "seen") as owner, honest(served, "other") as other:
        victim = Identity.create()
        with pytest.raises(AccessRefusedError, match="not signed by the key of 'seen'"):
            await other.link.rotate("seen", owner.lab, other.identity, victim)
        request = await rotation(owner, victim)
        request.possession = owner.identity.sign("flnb-rotate", b"")  # it does not hold that key
        with pytest.raises(AccessRefusedError, match="not signed by the key of 'seen'"):
            await owner.link._ask("Rotate", request, pb.RotateReply)
        await owner.link.rotate("seen", owner.lab, owner.identity, victim)
        (noted,) = [
            one
            for one in served.lab.store.state.operations()
            if one.details.get("client") == "seen"
        ]
        assert (noted.verb, noted.details["to"]) == ("rotate-key", victim.public.hex()[:12])
        (row,) = served.lab.sql("SELECT rotated_at FROM clients WHERE client = 'seen'")
        assert row["rotated_at"] == noted.at


async def rotation(client, fresh):
    """What a client asks for another key with."""
    asked = pb.ChallengeRequest(protocol=PROTOCOL, client=client.name)
    nonce = (await client.link._ask("Challenge", asked, pb.ChallengeReply)).nonce
    what = "flnb-rotate", client.lab.encode(), nonce, fresh.public
    return pb.RotateRequest(
        protocol=PROTOCOL,
        client=client.name,
        nonce=nonce,
        public_key=fresh.public,
        signature=client.identity.sign(*what),
        possession=fresh.sign(*what),
    )
