"""Shared memory: who sees what, and when it is gone."""

from __future__ import annotations

import os

import numpy as np
import pytest

from flnb.processes import Channel, SharedBlock


def test_what_the_creator_writes_is_seen_through_the_other_end_of_a_channel():
    ours, theirs = Channel.pair()
    block = SharedBlock.create(64)
    ours.send({"base": block})
    received = theirs.recv()["base"]
    block.array("int64")[3] = 7
    assert received.array("int64").tolist() == [0, 0, 0, 7, 0, 0, 0, 0]
    ours.close()
    theirs.close()


def test_a_received_block_cannot_be_written():
    ours = SharedBlock.create(64)
    block = SharedBlock.attach(os.dup(ours.fd), 64)
    with pytest.raises(ValueError, match="read-only"):
        block.array("float32")[0] = 1.0


@pytest.mark.parametrize("dtype", ["uint8", "float32", "int64"])
def test_arrays_start_on_64_bytes_and_nowhere_else(dtype):
    block = SharedBlock.create(256)
    assert block.array(dtype, offset=192).ctypes.data % 64 == 0
    with pytest.raises(ValueError, match="starts on 64 bytes"):
        block.array(dtype, offset=8)


def test_an_array_that_does_not_fit_is_refused_with_the_numbers():
    with pytest.raises(ValueError, match=r"17 × 4 bytes from 64 do not fit into 128"):
        SharedBlock.create(128).array("float32", offset=64, count=17)


def test_arrays_outlive_their_block_and_a_closed_block_gives_no_more(no_leaks):
    block = SharedBlock.create(1 << 20)
    values = block.array(np.float32)
    block.close()
    values[:] = 2.0
    assert values.sum() == 2 * values.size
    with pytest.raises(ValueError, match="closed"):
        block.array(np.float32)


def test_a_forgotten_block_gives_its_descriptors_back(no_leaks):
    for _ in range(50):
        SharedBlock.create(1 << 16)


def test_an_empty_block_is_allowed():
    assert SharedBlock.create(0).array("int64").size == 0
