"""Buckets that a lab must not lie in, each refused with a sentence that says why, before any write."""

import os

import pytest

from flnb.core.errors import (
    AccessRefusedError,
    NotFoundError,
    StorageUnreachableError,
    StoreError,
)
from flnb.store import History, HistoryWriter
from flnb.store.place import HistoryPlace
from flnb.testing.stores import sample_groups
from tests.s3.servers import free_port


def test_a_server_that_ignores_conditional_writes_is_refused(server, place, line, fork_server):
    if server.checks_keys:
        pytest.skip("headers are signed here: none can be taken out on the way")
    line.deaf = True
    with pytest.raises(StoreError, match="If-None-Match, If-Match"):
        History(place).check()
    with pytest.raises(StoreError, match="both would win"):
        HistoryWriter(place, fork_server=fork_server).submit("r", sample_groups(), {})
    line.deaf = False
    assert History(place).size_bytes == 0
    History(place).check()


def test_a_bucket_that_is_not_there_is_named(place):
    with pytest.raises(NotFoundError, match="'no-such-bucket'"):
        History("s3://no-such-bucket/lab").check()


def test_missing_credentials_are_asked_for(place, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AccessRefusedError, match="AWS_PROFILE"):
        History(place).check()


def test_a_profile_of_the_usual_files_is_enough(place, server, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name)
    keys = f"aws_access_key_id={server.key}\naws_secret_access_key={server.secret}\n"
    (tmp_path / "credentials").write_text(f"[lab]\n{keys}")
    (tmp_path / "config").write_text(
        f"[profile lab]\nregion=us-east-1\nendpoint_url={server.url}\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "lab")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    assert History(place).write("r", sample_groups(), {})


def test_an_unknown_profile_is_named(place, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(AccessRefusedError, match="nobody"):
        History(place).check()


def test_wrong_keys_and_missing_rights_are_told_apart(strict, place, monkeypatch):
    guarded = HistoryPlace.parse(f"s3://{strict.bucket}/lab")
    for name, value in strict.stranger.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(AccessRefusedError, match="no right"):
        History(guarded).check()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(AccessRefusedError, match="does not take the credentials"):
        History(guarded).check()


def test_a_server_that_nobody_reaches_is_named(place, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StorageUnreachableError, match=r"127\.0\.0\.1"):
        History(place).check()


def test_a_place_that_holds_other_things_is_left_alone(place, server):
    client = server.client()
    client.put_object(Bucket=place.bucket, Key=f"{place.prefix}/thesis.txt", Body=b"mine")
    with pytest.raises(StoreError, match=r"thesis\.txt"):
        History(place).check()
    listed = client.list_objects_v2(Bucket=place.bucket, Prefix=f"{place.prefix}/")
    assert [item["Key"] for item in listed["Contents"]] == [f"{place.prefix}/thesis.txt"]
    client.close()


def test_secrets_are_in_no_object_of_the_bucket(place, server):
    History(place).write("r", sample_groups(), {"round": 1})
    client = server.client()
    listed = client.list_objects_v2(Bucket=place.bucket, Prefix=f"{place.prefix}/")["Contents"]
    bodies = [
        client.get_object(Bucket=place.bucket, Key=item["Key"])["Body"].read() for item in listed
    ]
    client.close()
    assert not any(server.secret.encode() in body for body in bodies)
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == server.secret
