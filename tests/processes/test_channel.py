"""Messages over a private pair of sockets."""

from __future__ import annotations

import selectors
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flnb.processes import Channel


@pytest.fixture
def ends():
    ours, theirs = Channel.pair()
    yield ours, theirs
    ours.close()
    theirs.close()


@given(
    messages=st.lists(
        st.one_of(st.binary(max_size=300), st.text(), st.dictionaries(st.text(), st.integers()))
    )
)
def test_messages_arrive_whole_and_in_order(messages):
    ours, theirs = Channel.pair()
    for message in messages:
        ours.send(message)
    assert [theirs.recv(1.0) for _ in messages] == messages
    ours.close()
    theirs.close()


def test_arrays_far_larger_than_the_socket_arrive(ends):
    ours, theirs = ends
    message = [np.arange(3_000_000), b"x" * 5_000_000, *(np.full(3, k) for k in range(1500))]
    sender = threading.Thread(target=ours.send, args=(message,))
    sender.start()
    received = theirs.recv(5.0)
    sender.join()
    assert all(np.array_equal(a, b) for a, b in zip(received, message, strict=True))
    received[0][0] = 1  # received arrays are one's own


def test_a_function_made_here_works_there(ends):
    ours, theirs = ends
    factor = 3
    ours.send(lambda x: factor * x)
    assert theirs.recv()(2) == 6


def test_a_silent_peer_is_a_timeout_and_a_gone_one_the_end(ends):
    ours, theirs = ends
    with pytest.raises(TimeoutError, match=r"0\.01 s"):
        theirs.recv(0.01)
    ours.send("last words")
    ours.close()
    assert theirs.recv() == "last words"
    with pytest.raises(EOFError):
        theirs.recv()


def test_a_peer_that_dies_in_the_middle_of_a_message_is_the_end(ends):
    ours, theirs = ends
    ours._socket.send(b"\x00" * 20)
    ours.close()
    with pytest.raises(EOFError):
        theirs.recv(1.0)


def test_sending_to_a_peer_that_is_gone_is_the_end(ends):
    ours, theirs = ends
    theirs.close()
    with pytest.raises(EOFError):
        ours.send(b"x" * 1_000_000)


def test_many_channels_are_awaited_with_a_selector(ends):
    ours, theirs = ends
    with selectors.DefaultSelector() as selector:
        selector.register(theirs, selectors.EVENT_READ, "worker")
        assert selector.select(0) == []
        ours.send(1)
        assert [key.data for key, _ in selector.select(1)] == ["worker"]
