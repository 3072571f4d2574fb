"""Where the history of a lab lies: a folder of this machine, or a prefix in an S3 bucket.

An address names a place and nothing else. Endpoint, region and credentials come from where every
program of AWS takes them (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, `~/.aws` …), each
time a process opens the place; they are written nowhere, and a place that is pickled for the
writer process holds none.
"""

from __future__ import annotations

import configparser
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flnb.core.errors import AddressError, StoreError

if TYPE_CHECKING:
    from icechunk import Storage

_SCHEME = "s3://"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_SILENCE_S = 20
"""A transfer that moves no byte for so long is given up and tried again."""


@dataclass(frozen=True, slots=True)
class HistoryPlace:
    """A place for commits; equal addresses are equal places.

    Args:
        folder: The folder; None for S3.
        bucket: The bucket; empty for a folder.
        prefix: Where in the bucket, without slashes at its ends.
    """

    folder: Path | None = None
    bucket: str = ""
    prefix: str = ""

    @classmethod
    def parse(cls, address: str | Path | HistoryPlace) -> HistoryPlace:
        """Read an address.

        Args:
            address: A folder, or `s3://bucket/prefix`. A place is returned as it is.

        Raises:
            StoreError: The address is of another kind, names no bucket, or holds credentials.

        Examples:
            >>> str(HistoryPlace.parse("s3://models/lab/"))
            's3://models/lab'
            >>> HistoryPlace.parse("./lab").local
            True
        """
        if isinstance(address, HistoryPlace):
            return address
        text = str(address)
        if "://" not in text and not text.startswith("s3:/"):
            return cls(folder=Path(address).expanduser().absolute())
        if isinstance(address, Path) or not text.startswith(_SCHEME):
            raise StoreError(
                f"{text.partition('@')[2] or text!r} is no place for a lab",
                hint="name a folder, or give s3://bucket/prefix as a string",
            )
        return cls(None, *_bucket_and_prefix(text.removeprefix(_SCHEME)))

    @property
    def local(self) -> bool:
        """Whether it is a folder of this machine."""
        return self.folder is not None

    def below(self, name: str) -> HistoryPlace:
        """The place of that name within this one."""
        if self.folder is not None:
            return HistoryPlace(self.folder / name)
        return HistoryPlace(None, self.bucket, f"{self.prefix}/{name}".strip("/"))

    def storage(self) -> Storage:
        """What Icechunk opens; reads the environment, and asks nobody yet."""
        import icechunk

        if self.folder is not None:
            return icechunk.local_filesystem_storage(str(self.folder))
        endpoint = endpoint_url()
        return icechunk.s3_storage(
            bucket=self.bucket,
            prefix=self.prefix or None,
            region=region(),
            endpoint_url=endpoint,
            allow_http=endpoint is not None and endpoint.startswith("http://"),
            from_env=True,
            # Names of buckets as subdomains are AWS' own way; hardly any other server has it.
            force_path_style=endpoint is not None,
            network_stream_timeout_seconds=_SILENCE_S,
        )

    def __str__(self) -> str:
        """The address, as `parse` reads it."""
        if self.folder is not None:
            return str(self.folder)
        return f"{_SCHEME}{self.bucket}/{self.prefix}".rstrip("/")


def endpoint_url() -> str | None:
    """The S3 server that the environment or the profile of AWS names; None is AWS itself."""
    for variable in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if found := os.environ.get(variable):
            return found
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(Path(os.environ.get("AWS_CONFIG_FILE", "~/.aws/config")).expanduser())
    profile = os.environ.get("AWS_PROFILE", "default")
    for section in (profile if profile == "default" else f"profile {profile}", profile):
        if found := settings.get(section, "endpoint_url", fallback=None):
            return found
    return None


def region() -> str | None:
    """The region that the environment names; None leaves it to the profile of AWS."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def _bucket_and_prefix(rest: str) -> tuple[str, str]:
    named = urlsplit(f"//{rest}")
    if "@" in named.netloc:
        raise AddressError(
            "an address holds no credentials",
            hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        )
    bucket, _, prefix = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise AddressError(
            f"{bucket!r} cannot be the name of a bucket",
            hint="s3://bucket/prefix: 3 to 63 small letters, digits, dots and hyphens",
        )
    return bucket, "/".join(part for part in prefix.split("/") if part)
