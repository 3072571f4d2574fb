"""A real coordinator in its own process, an honest client, and how both are doing."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psutil

from flnb.coordinator import Lab, invite_by_lab
from flnb.core.errors import NotFoundError
from flnb.transport import PROTOCOL, Identity, Link
from flnb.transport.invite import Invite
from flnb.transport.v1 import federation_pb2 as pb

ROOT = Path(__file__).parents[2]
LAYOUT = "no task has this layout"


class Service:
    """A coordinator's process."""

    def __init__(self, interpreters, folder, model=""):
        self.interpreters = interpreters
        self.lab_path, self.log_path = folder / "lab", folder / "service.log"
        self.start(model)
        self.lab = Lab.open(self.lab_path)

    def start(self, model=""):
        program = "from tests.abuse.service import main; main()"
        self.process = self.interpreters.start(program, self.lab_path, model, log=self.log_path)
        self.address = self.process.stdout.readline().strip()
        assert self.address, self.log

    @property
    def port(self):
        return int(self.address.rpartition(":")[2])

    @property
    def log(self):
        return self.log_path.read_text()

    def rss_mb(self):
        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    def threads(self):
        return psutil.Process(self.process.pid).num_threads()

    def invite(self, name):
        return Invite.parse(invite_by_lab(self.lab, name, "1h").text)

    def kill(self):
        self.process.close()

    def stop(self):
        if self.process.poll() is None:
            self.process.communicate(timeout=30)
        self.process.close()
        self.lab.store.close()


@contextmanager
def service(interpreters, folder, model=""):
    running = Service(interpreters, folder, model)
    try:
        yield running
    finally:
        running.process.poll() is None and running.stop()
        assert "Traceback" not in running.log, running.log[-5000:]


class Honest:
    """A client that joined properly and has a session."""

    def __init__(self, name, lab, link, identity):
        self.name, self.lab, self.link, self.identity = name, lab, link, identity
        self.token, self.call = "", None

    async def sign_in(self):
        self.token = (await self.link.sign_in(self.name, self.lab, self.identity)).token
        return self.token

    async def enter(self, layout=LAYOUT, n_examples=10):
        """Open a session and wait for the welcome."""
        self.call = self.link.session(self.token)
        hello = pb.Hello(protocol=PROTOCOL, layout_hash=layout, n_examples=n_examples, task="t")
        await self.call.write(pb.ClientNote(hello=hello))
        note = await anext(aiter(self.call))
        assert note.WhichOneof("note") == "welcome"
        return self.call

    async def ping_s(self):
        """How long a cheap call with a token takes: a version that is not there."""
        began_s = time.perf_counter()
        try:
            await anext(aiter(self.link.fetch(self.token, bytes(32), [0])))
        except NotFoundError:
            return time.perf_counter() - began_s
        raise AssertionError("there is no such version")


@asynccontextmanager
async def honest(where, name="honest", **options):
    """A client of that name, signed in and with a session."""
    invite = where.invite(name)
    link = Link(invite.address, invite.certificate)
    try:
        identity = Identity.create()
        client, lab = await link.join(invite.token, identity)
        one = Honest(client, lab, link, identity)
        await one.sign_in()
        await one.enter(**options)
        yield one
    finally:
        await link.close()


async def pings(client, seconds, every_s=0.02):
    """Pings for a while, in milliseconds, sorted."""
    ends, taken = time.monotonic() + seconds, []
    while time.monotonic() < ends:
        taken.append(1000 * await client.ping_s())
        await asyncio.sleep(every_s)
    return sorted(taken)


def p95(taken):
    return taken[int(0.95 * (len(taken) - 1))]


async def until(true, within_s=10.0):
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - what is waited for lies in another process
            await asyncio.sleep(0.02)
