"""Addresses of histories: what they name, what they refuse, and what they never hold."""

import pickle
from pathlib import Path

import pytest

from flnb.core.errors import StoreError
from flnb.store.place import HistoryPlace, endpoint_url


def test_a_folder_and_a_prefix_are_told_apart(tmp_path):
    folder, remote = HistoryPlace.parse(tmp_path), HistoryPlace.parse("s3://models//lab/")
    assert (folder.local, folder.folder) == (True, tmp_path)
    assert (remote.local, remote.bucket, remote.prefix) == (False, "models", "lab")
    assert str(remote.below("history")) == "s3://models/lab/history"
    assert str(HistoryPlace.parse("s3://models").below("history")) == "s3://models/history"
    assert folder.below("history") == HistoryPlace.parse(str(tmp_path / "history"))


def test_a_place_travels_without_credentials(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    place = HistoryPlace.parse("s3://models/lab")
    assert pickle.loads(pickle.dumps(place)) == place
    assert b"very-secret" not in pickle.dumps(place)


@pytest.mark.parametrize(
    "wrong",
    ["gs://bucket/lab", "s3://", "s3://Bucket/lab", "s3://key:hush@bucket/lab", "ftp://a:hush@b/c"],
)
def test_what_is_no_place_is_refused_without_repeating_a_secret(wrong):
    with pytest.raises(StoreError) as caught:
        HistoryPlace.parse(wrong)
    assert "hush" not in str(caught.value)


def test_a_path_that_was_an_address_is_refused():
    with pytest.raises(StoreError, match="as a string"):
        HistoryPlace.parse(Path("s3://models/lab"))


def test_the_server_comes_from_the_environment_or_from_the_profile(monkeypatch, tmp_path):
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config").write_text("[profile lab]\nendpoint_url = http://s3.lab:9000\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert endpoint_url() is None
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert endpoint_url() == "http://s3.lab:9000"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert endpoint_url() == "http://127.0.0.1:1"
