"""The doors of the pages on a port of their own, without Panel behind them."""

import asyncio
import contextlib
import threading

import httpx
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from flnb.dashboards.doors import Gate


class WhoAmI(RequestHandler):
    def get(self):
        self.write(str(self.application.gate.get_user(self)))


@contextlib.contextmanager
def opened(doorman, **options):
    """A client of the doors, with their gate; options are the gate's."""
    sockets = bind_sockets(0, "127.0.0.1")
    port = sockets[0].getsockname()[1]
    gate = Gate(doorman, [f"localhost:{port}"], cookie=f"flnb-{port}", **options)
    started = threading.Event()

    async def serve():
        gate.ends = asyncio.Event()
        application = Application([*gate.endpoints, ("/.*", WhoAmI)], cookie_secret="x" * 32)
        application.gate, gate.loop = gate, IOLoop.current()
        server = HTTPServer(application)
        server.add_sockets(sockets)
        started.set()
        await gate.ends.wait()
        server.stop()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    started.wait(10)
    try:
        with httpx.Client(base_url=f"http://localhost:{port}") as client:
            client.gate = gate
            yield client
    finally:  # also of a test that fails: its process would not end
        gate.loop.add_callback(gate.ends.set)
        thread.join(10)
