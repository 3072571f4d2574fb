"""The coordinator's own thread: what it leaves behind when it is stopped."""

import asyncio
import threading
import time

import pytest

from flnb.coordinator.loop import LoopThread
from flnb.core.errors import FLBaseError, RoundStateError
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


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_what_ends_a_process_ends_no_loop_when_a_thread_raises_it(end):
    def work():
        raise end

    thread = LoopThread("t")
    thread.start()
    try:
        with pytest.raises(FLBaseError, match=type(end).__name__):
            thread.call(asyncio.to_thread(work), 10)
        assert thread.call(asyncio.sleep(0, "it goes on"), 10) == "it goes on"
    finally:
        thread.stop()


@pytest.mark.parametrize("does", ["resume", "roll back"])
def test_a_callback_that_would_wait_for_the_coordinator_itself_is_told_so(coord, plan, task, does):
    run, heard = coord.run(plan.replace(rounds=10_000), task), []

    def act(view):
        if not heard and view.round >= 1 and (does == "roll back" or view.status == "paused"):
            heard.append("called")
            try:
                run.resume() if does == "resume" else run.rollback(to=0).apply(reason="too far")
            except RoundStateError as error:
                heard.append(str(error))

    run.on_change(act)
    run.pause() if does == "resume" else None
    deadline = time.monotonic() + 30
    while len(heard) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "must not wait until a run rests" in heard[-1]
    run.stop().wait(30)
