"""S3 servers as processes of their own, on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import botocore.loaders
import botocore.session
from botocore.config import Config

START_S = 60.0
_DESCRIPTIONS = botocore.loaders.create_loader()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(done: Callable[[], bool], what: str, patience_s: float = START_S) -> None:
    """Wait until something is so; fails by saying what it was."""
    ends_s = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < ends_s, f"{what}: not within {patience_s:.0f} s"
        time.sleep(0.02)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """An S3 server that takes one pair of keys."""

    port: int
    key, secret = "flnb-key", "flnb-secret"
    checks_keys = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, url: str | None = None) -> dict[str, str]:
        """What a user would have set to reach it, perhaps over another address."""
        return {
            "AWS_ENDPOINT_URL": url or self.url,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self, service: str = "s3"):
        """A client of another make than the one that is tested."""
        session = botocore.session.Session()
        session.register_component("data_loader", _DESCRIPTIONS)
        return session.create_client(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            config=Config(s3={"addressing_style": "path"}),
        )

    def make_bucket(self, name: str) -> None:
        client = self.client()
        client.create_bucket(Bucket=name)
        client.close()

    def close(self) -> None:
        raise NotImplementedError


class Moto(Server):
    """`moto_server`: in memory, and everybody may do everything unless the environment says no."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p"]
        with (folder / "moto.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, str(self.port)],
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )
        wait_for(lambda: listens(self.port), "moto_server listens")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclass(frozen=True)
class Strict:
    """A server that checks keys, with a bucket, and what somebody without rights to it has set."""

    bucket: str
    stranger: dict[str, str]


def strict_moto(folder: Path) -> tuple[Moto, Strict]:
    """Start a moto that checks keys from its third request on."""
    moto = Moto(folder, {"INITIAL_NO_AUTH_ACTION_COUNT": "3"})
    moto.make_bucket("guarded")
    users = moto.client("iam")
    users.create_user(UserName="stranger")
    keys = users.create_access_key(UserName="stranger")["AccessKey"]
    users.close()
    stranger = moto.environment() | {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
    }
    return moto, Strict("guarded", stranger)
