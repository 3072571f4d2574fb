"""Real WebSocket clients for tests: each collects what it hears."""

import asyncio
import json
import threading
import time

import websockets

from flnb.coordinator.loop import LoopThread


class Ears:
    """WebSocket clients on a thread of their own."""

    def __init__(self):
        self._thread, self._made = LoopThread("ears"), []
        self._thread.start()

    def open(self, url, token, *, header=False, cursor="", extra=None, **hello):
        """Open a socket and say hello."""
        ear = Ear(self._thread)
        self._made.append(ear)
        headers = {"Authorization": f"Bearer {token}"} if header else {}
        first = None if header else {"type": "hello", "token": token, "cursor": cursor} | hello
        ear.hearing = self._thread.submit(ear.hear(url, headers | (extra or {}), first))
        return ear

    def close(self):
        """Hang up."""
        for ear in self._made:
            ear.hang_up()
        self._thread.call(_all_over())
        self._thread.stop()


class Ear:
    """One client."""

    def __init__(self, thread):
        self.events, self.at_s = [], []
        self.code, self.reason, self.refused = None, "", None
        self._thread, self._socket = thread, None
        self.opened = threading.Event()

    async def hear(self, url, headers, first):
        try:
            async with websockets.connect(
                url, additional_headers=headers, proxy=None, max_size=None, open_timeout=60
            ) as socket:
                self._socket = socket
                if first is not None:
                    await socket.send(json.dumps(first))
                self.opened.set()
                async for text in socket:
                    self.at_s.append(time.time())
                    self.events.append(json.loads(text))
                self.code, self.reason = socket.close_code, socket.close_reason
        except websockets.ConnectionClosed as closed:
            self.code = closed.rcvd.code if closed.rcvd else 1006
            self.reason = closed.rcvd.reason if closed.rcvd else ""
        except websockets.InvalidStatus as refused:
            self.refused = refused.response.status_code
        except OSError as error:
            self.refused = str(error)

    def say(self, message):
        text = message if isinstance(message, str) else json.dumps(message)
        self._thread.call(self._socket.send(text))

    def hang_up(self):
        self.hearing.cancel()

    @property
    def types(self):
        return [event["type"] for event in self.events]

    @property
    def cursor(self):
        """The last one that came."""
        return next(event["cursor"] for event in reversed(self.events) if "cursor" in event)

    def of(self, kind):
        return [event["data"] for event in self.events if event["type"] == kind]

    @property
    def durable(self):
        return [(e["type"], e["cursor"]) for e in self.events if e["type"] in DURABLE]

    @property
    def rounds(self):
        """Each round that closed since it listens, once: a later telling only brings its commit."""
        told = list(dict.fromkeys(one["round"] for one in self.of("round_complete")))
        return [number for number in told if number >= told[0]]


DURABLE = {"round_complete", "operation", "rounds_taken_back"}


async def _all_over():
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)
