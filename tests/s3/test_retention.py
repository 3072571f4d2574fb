"""Commits in S3 that are let go, and commits that are damaged."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from flnb.core.errors import DamagedError
from flnb.store import History, sweep, weigh
from flnb.store.chunks import CHUNK_BYTES
from flnb.store.retention import DESCRIPTION_BYTES
from flnb.testing.stores import same_bits

CHUNK = CHUNK_BYTES // 4
FAR = datetime.now(UTC) + timedelta(days=3)


@pytest.fixture
def client(server):
    client = server.client()
    yield client
    client.close()


def stored(client, place, folder=""):
    """Key to bytes of what lies in the place."""
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=place.bucket, Prefix=f"{place.prefix}/{folder}"
    )
    return {one["Key"]: one["Size"] for page in pages for one in page.get("Contents", ())}


def written(place, n):
    """Commit versions in which one chunk of three changes."""
    history, values, versions = History(place), np.zeros(3 * CHUNK, np.float32), {}
    for number in range(n):
        values[(number % 3) * CHUNK] += 1
        groups = {"parameters": values.copy()}
        versions[history.write("r", groups, {"round": number})] = groups
    return versions


def test_what_is_weighed_is_what_is_freed(place, client):
    versions = written(place, 8)
    named = list(versions)[::5] + list(versions)[-1:]
    weight = weigh(place, versions.keys() - set(named), named)
    before = stored(client, place)
    freed = sweep(place, lambda: named, FAR, FAR)
    gone = {key: size for key, size in before.items() if key not in stored(client, place)}
    gone = {key: size for key, size in gone.items() if "/refs/" not in key}
    assert weight.objects == freed.objects == len(gone) > 0
    assert abs(weight.size_bytes - sum(gone.values())) < DESCRIPTION_BYTES * len(versions)
    for snapshot in named:
        assert same_bits(History(place).read(snapshot), versions[snapshot])


def test_a_chunk_that_is_missing_or_was_changed_is_named(place, client):
    (snapshot,) = written(place, 1)
    for key in stored(client, place, "chunks/"):
        data = bytearray(client.get_object(Bucket=place.bucket, Key=key)["Body"].read())
        data[0] ^= 1
        client.put_object(Bucket=place.bucket, Key=key, Body=bytes(data))
    with pytest.raises(DamagedError, match=r"chunk \d of parameters is not what was committed"):
        History(place).read(snapshot)
    for key in stored(client, place, "chunks/"):
        client.delete_object(Bucket=place.bucket, Key=key)
    with pytest.raises(DamagedError, match=rf"commit {snapshot} is damaged: chunk \d of param"):
        History(place).read(snapshot)
