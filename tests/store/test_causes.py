"""Errors are known by their code and the library's own words, never by a name that a person gave."""

import icechunk
import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ReadTimeoutError

from flnb.core.errors import AccessRefusedError, NotFoundError, StorageUnreachableError
from flnb.store.bucket import in_plain_words
from flnb.store.causes import codes, is_damage, words
from flnb.store.place import HistoryPlace

PLACE = HistoryPlace.parse("s3://conflict/timeouts/credentials/AccessDenied")
KEY = f"{PLACE.prefix}/NoSuchBucket-early eof"


def of_icechunk(*chain):
    """An error as Icechunk writes it, with the key in its context."""
    links = "".join(f"  |-> {link}\n" for link in chain[:-1])
    context = f'  | context:\n  |    0: icechunk::storage::s3 with key="{KEY}"\n  | \n'
    return icechunk.IcechunkError(f"  x {chain[0]}\n  | \n{context}{links}  `-> {chain[-1]}\n")


def of_s3(code):
    said = f'Error {{ code: "{code}", message: "{code} at {KEY}" }}'
    return of_icechunk("service error", f"unhandled error ({code})", said)


def of_botocore(code):
    return ClientError({"Error": {"Code": code, "Message": KEY}}, "GetObject")


@pytest.mark.parametrize("error", [of_s3, of_botocore])
def test_the_code_of_the_server_says_what_it_is(error):
    kinds = {
        "NoSuchBucket": NotFoundError,
        "ExpiredToken": AccessRefusedError,
        "AccessDenied": AccessRefusedError,
        "SlowDown": StorageUnreachableError,
        "TooManyRequests": StorageUnreachableError,
    }
    for code, kind in kinds.items():
        assert codes(error(code))[0] == code
        assert isinstance(in_plain_words(PLACE, error(code)), kind)
    for code in ("NoSuchKey", "RequestTimeTooSkewed", "PermanentRedirect", "KMS.Disabled"):
        assert in_plain_words(PLACE, error(code)) is None


def test_the_words_of_the_libraries_count_without_the_names_in_them():
    lost = of_icechunk("dispatch failure", "client error (Connect)", "Connection refused")
    slow = ReadTimeoutError(endpoint_url=f"http://host/{KEY}")
    for error in (lost, slow):
        assert isinstance(in_plain_words(PLACE, error), StorageUnreachableError)
    assert isinstance(in_plain_words(PLACE, NoCredentialsError()), AccessRefusedError)
    assert in_plain_words(PLACE, of_icechunk(f"ref not found `{KEY}`")) is None
    assert words(of_icechunk(f"ref not found `{KEY}`")) == "ref not found"


@pytest.mark.parametrize("code", ["NoSuchKey", "InvalidRange"])
def test_an_object_that_is_missing_or_too_short_is_damage(code):
    assert is_damage(of_s3(code))
    assert is_damage(of_icechunk("I/O error", "Data corruption detected"))


def test_a_server_that_says_nothing_beside_its_code_is_understood():
    missing = of_icechunk("service error", "NoSuchKey:", "NoSuchKey:")  # as Ceph's answer reads
    assert codes(missing) == ["NoSuchKey", "NoSuchKey"]
    assert is_damage(missing)
    wordless = of_icechunk("service error", "unhandled error", "Error")
    for error in (wordless, of_botocore("503"), of_botocore("429")):  # their answers had no body
        assert isinstance(in_plain_words(PLACE, error), StorageUnreachableError)
        assert not is_damage(error)
    assert in_plain_words(PLACE, of_botocore("400")) is None


@pytest.mark.parametrize("code", ["RequestTimeTooSkewed", "AuthorizationHeaderMalformed", "Error"])
def test_whatever_may_pass_is_no_damage(code):
    assert not is_damage(of_s3(code))
    file = f"/lab/{KEY}/chunks/A: Permission denied (os error 13)"
    for said in (f"Unable to open file {file}", "snapshot not found: `A`", "I/O error"):
        assert not is_damage(of_icechunk(said))
