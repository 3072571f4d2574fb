"""Is a bucket good enough for a lab: it is there, we may write, and it compares before it swaps.

Icechunk moves the head of a branch with a PUT that names the version which it replaces (`If-Match`),
and makes branches and tags with one that refuses to replace (`If-None-Match`). A server that
ignores these headers takes every commit of every writer, and all but the last are lost without
a word: eight writers, eight winners, measured. So both are tried before anything is written, with
the very headers that Icechunk sends; Icechunk itself compares first and would not show it.

This file speaks to the bucket through botocore, whose errors say what is wrong. It is imported
only for labs in S3.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from flnb.core.errors import (
    AccessRefusedError,
    FLBaseError,
    NotFoundError,
    StorageUnreachableError,
    StoreError,
)
from flnb.store.causes import cause, codes, words
from flnb.store.place import HistoryPlace, endpoint_url, region

_CONNECT_TIMEOUT_S = 3
_READ_TIMEOUT_S = 10
_REFUSALS = {412, 409}
"""Precondition failed; and conflict, which AWS says when two of them meet."""
_NO_ETAG = "00000000000000000000000000000000"  # without quotes, as Icechunk sends them
_WRONG_CREDENTIALS = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "InvalidClientTokenId",
)
_NO_CREDENTIALS = ("credentials", "config profile")
_NO_RIGHTS = ("AccessDenied", "Forbidden", "403", "AllAccessDisabled")
_BUSY = (
    "ServiceUnavailable",
    "SlowDown",
    "InternalError",
    "Timeout",
    "TooManyRequests",
    "Throttling",
)
_SILENT = (
    "connect",
    "timeout",
    "timed out",
    "dispatch failure",
    "stream",
    "http client",
    "unhandled error",  # an answer without a code: of what stands before a server, or is overrun
)
"""Of botocore and Icechunk themselves, in small letters; the others are codes of servers."""
_BUSY_STATUS = re.compile(r"429|5\d\d")
"""What botocore takes for the code of an answer that has none."""
_proven: set[tuple[HistoryPlace, str | None]] = set()
"""Places that this process has tried already, each with the server that it lies on."""


def check_bucket(place: HistoryPlace) -> None:
    """Refuse a bucket that a lab must not be written to; asked once a process and place.

    Args:
        place: Where in S3 the lab is to lie.

    Raises:
        NotFoundError: There is no such bucket.
        AccessRefusedError: The credentials are wrong, or may not write here.
        StorageUnreachableError: The server does not answer.
        StoreError: It ignores conditional writes, or s3fs is not installed.
    """
    server = endpoint_url()
    if (place, server) in _proven:
        return
    # Beside the place, which must be empty for a history to be made: this may be cut short.
    key = f"{place.prefix or 'flnb'}-probe-{secrets.token_hex(8)}"
    with _client(place) as client:
        ignored = _ignored_conditions(client, place.bucket, key)
    if ignored:
        raise StoreError(
            f"the server of {place} ignores conditional writes ({', '.join(ignored)}): of two "
            "processes that commit at once both would win, and one commit would be lost",
            hint="use a server that has them, such as AWS S3, Ceph or MinIO; nothing was written",
        )
    _proven.add((place, server))


def size_bytes(place: HistoryPlace) -> int:
    """Bytes of everything that lies in a place of S3; one request for 1000 objects.

    Raises:
        NotFoundError: There is no such bucket.
        AccessRefusedError: The credentials are wrong, or may not list.
        StorageUnreachableError: The server does not answer.
        StoreError: s3fs is not installed.
    """
    with _client(place) as client:
        pages = client.get_paginator("list_objects_v2")
        listed = pages.paginate(Bucket=place.bucket, Prefix=_prefix(place))
        return sum(item["Size"] for page in listed for item in page.get("Contents", ()))


def read_object(place: HistoryPlace, name: str) -> bytes:
    """Read an object of a place; empty if there is none.

    Raises:
        NotFoundError: There is no such bucket.
        AccessRefusedError: The credentials are wrong, or may not read.
        StorageUnreachableError: The server does not answer.
        StoreError: s3fs is not installed.
    """
    with _client(place) as client:
        try:
            return _body(client, place, name)
        except client.exceptions.NoSuchKey:
            return b""


def write_once(place: HistoryPlace, name: str, body: bytes) -> bytes:
    """Write an object of a place unless it is there; returns what lies there then.

    Raises:
        AccessRefusedError: The credentials may not write here.
        StorageUnreachableError: The server does not answer.
        StoreError: s3fs is not installed.
    """
    with _client(place) as client:
        _put(client, place.bucket, f"{_prefix(place)}{name}", body, IfNoneMatch="*")
        return _body(client, place, name)


def finish_creation(place: HistoryPlace, first_snapshot: str) -> None:
    """Write the branch that Icechunk writes last, for a creator that was killed before it did.

    Icechunk refuses to create where anything lies, and to open where this branch is missing.

    Args:
        place: Where the repository lies.
        first_snapshot: The empty snapshot, whose identity is always the same.

    Raises:
        AccessRefusedError: The credentials may not write here.
        StorageUnreachableError: The server does not answer.
        StoreError: Something else than half a repository lies there, or s3fs is not installed.
    """
    prefix = _prefix(place)
    with _client(place) as client:
        listed = client.list_objects_v2(Bucket=place.bucket, Prefix=prefix, MaxKeys=10)
        keys = [item["Key"].removeprefix(prefix) for item in listed.get("Contents", ())]
        if keys != [f"snapshots/{first_snapshot}"]:
            raise StoreError(
                f"{place} holds other things and no history: {', '.join(keys[:3])}",
                hint="name an empty prefix",
            )
        branch = f'{{"snapshot":"{first_snapshot}"}}'.encode()
        _put(client, place.bucket, f"{prefix}refs/branch.main/ref.json", branch, IfNoneMatch="*")


def in_plain_words(place: HistoryPlace, error: Exception) -> FLBaseError | None:
    """Turn what a library says about a bucket into what a person can act on.

    Args:
        place: The bucket that was asked.
        error: Of botocore, or of Icechunk, which puts the cause last.

    Returns:
        An error to raise in place of it, None if it is about something else.
    """
    code, said, why = " ".join(codes(error)), words(error), cause(error)
    if "NoSuchBucket" in code:
        return NotFoundError("bucket", place.bucket)
    if _any_in(_WRONG_CREDENTIALS, code) or _any_in(_NO_CREDENTIALS, said):
        return AccessRefusedError(
            f"the server of {place} does not take the credentials: {why}",
            hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        )
    if _any_in(_NO_RIGHTS, code):
        return AccessRefusedError(
            f"the credentials have no right to {place}: {why}",
            hint="they need the rights to list, read, write and delete there",
        )
    if _any_in(_BUSY, code) or _any_in(_SILENT, said) or _BUSY_STATUS.fullmatch(code):
        hint = f"look whether {endpoint_url() or 'AWS'} can be reached from here, then run.resume()"
        return StorageUnreachableError(str(place), why, hint=hint)
    return None


def _any_in(signs: tuple[str, ...], text: str) -> bool:
    return any(sign in text for sign in signs)


def _ignored_conditions(client: Any, bucket: str, key: str) -> list[str]:
    """Which of the two conditions a server does not mind; tried on an object of its own."""
    try:
        there = _put(client, bucket, key, b"flnb", IfNoneMatch="*")
        again = _put(client, bucket, key, b"none", IfNoneMatch="*")
        other = _put(client, bucket, key, b"match", IfMatch=_NO_ETAG)
    finally:
        client.delete_object(Bucket=bucket, Key=key)
    assert there, "an object of that name cannot be there"
    return [name for name, done in (("If-None-Match", again), ("If-Match", other)) if done]


def _body(client: Any, place: HistoryPlace, name: str) -> bytes:
    found = client.get_object(Bucket=place.bucket, Key=f"{_prefix(place)}{name}")
    return bytes(found["Body"].read())


def _put(client: Any, bucket: str, key: str, body: bytes, **condition: str) -> bool:
    """Write an object if its condition is met; returns whether it was."""
    from botocore.exceptions import ClientError

    try:
        client.put_object(Bucket=bucket, Key=key, Body=body, **condition)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in _REFUSALS:
            return False
        raise
    return True


def _prefix(place: HistoryPlace) -> str:
    return f"{place.prefix}/" if place.prefix else ""


@cache
def _descriptions() -> Any:
    """Descriptions of AWS' services, which take a third of a second to read, once a process."""
    from botocore.loaders import create_loader

    return create_loader()


@contextmanager
def _client(place: HistoryPlace) -> Iterator[Any]:
    try:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.session import Session
    except ImportError as error:
        raise StoreError(
            "a lab in S3 needs s3fs", hint="pip install 'flnb[cloud]', then try again"
        ) from error
    endpoint = endpoint_url()
    settings = Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_READ_TIMEOUT_S,
        retries={"total_max_attempts": 2, "mode": "standard"},
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    try:
        session = Session()
        session.register_component("data_loader", _descriptions())
        client = session.create_client(
            "s3", region_name=region(), endpoint_url=endpoint, config=settings
        )
        try:
            yield client
        finally:
            client.close()
    except (BotoCoreError, ClientError) as error:
        if (plain := in_plain_words(place, error)) is None:
            raise StoreError(f"{place} cannot be used: {error}") from error
        raise plain from error
