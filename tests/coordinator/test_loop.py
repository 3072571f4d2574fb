"""The coordinator's own thread: what it leaves behind when it is stopped."""

import asyncio
import threading

from flnb.coordinator.loop import LoopThread
from tests.e2e.victims import await_


def test_stopping_waits_for_what_was_begun_in_threads():
    thread, begun, may_end, ended = LoopThread("t"), threading.Event(), threading.Event(), []
    thread.start()

    def work():
        begun.set()
        may_end.wait(10)
        ended.append(1)

    waiting = thread.submit(asyncio.to_thread(work))
    begun.wait(10)
    stopping = threading.Thread(target=lambda: (thread.stop(), ended.append(2)))
    stopping.start()
    await_(waiting.cancelled, "it is not stopped")
    may_end.set()
    stopping.join(10)
    assert ended == [1, 2]
