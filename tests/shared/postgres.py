"""A PostgreSQL server of these tests' own, from Debian's packages: started and stopped here."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

import psycopg

PASSWORD = "correct-horse"
_SETTINGS = "fsync=off\nmax_connections=60\nshared_buffers=16MB\nhba_file='{folder}/hba.conf'\n"
_HBA = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


def installed() -> Path | None:
    """Folder of the newest server that is installed."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    return found[-1].parent if found else None


class PostgresServer:
    """Listens on a socket in a folder, where it trusts everybody, and on loopback with passwords."""

    def __init__(self, bin_: Path) -> None:
        self._bin = bin_
        self.folder = Path(tempfile.mkdtemp(prefix="flnb-pg-", dir="/tmp"))
        self.port = _free_port()
        self._schemas = 0
        if os.geteuid() == 0:  # which the server refuses to run as
            shutil.chown(self.folder, "postgres", "postgres")
        (self.folder / "password").write_text(PASSWORD)
        (self.folder / "password").chmod(0o644)
        data = self.folder / "data"
        initdb = (f"--pgdata={data}", "--username=flnb", f"--pwfile={self.folder}/password")
        self._run("initdb", *initdb, "--no-sync", "--locale=C.UTF-8", "--auth=trust")
        (self.folder / "hba.conf").write_text(_HBA)
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS.format(folder=self.folder))
        self.start()

    @property
    def url(self) -> str:
        """Of the whole database, by the socket."""
        return f"postgresql://flnb@/postgres?host={quote(str(self.folder), '')}&port={self.port}"

    def new_state(self) -> str:
        """Address of an empty schema, for one lab."""
        self._schemas += 1
        name = f"lab_{self._schemas}"
        self.do(f"CREATE SCHEMA {name}")
        return f"{self.url}&options=-csearch_path%3D{name}"

    def do(self, statement: str, url: str = "") -> list[tuple]:
        """Execute something, as somebody beside flnb would."""
        with psycopg.connect(url or self.url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it and wait until it answers."""
        where = f"-k {self.folder} -h 127.0.0.1 -p {self.port}"
        log = self.folder / "log"
        self._run("pg_ctl", "start", "-w", f"-D{self.folder}/data", f"-l{log}", "-o", where)

    def stop(self) -> None:
        """Stop it at once, as a machine that fails would."""
        self._run("pg_ctl", "stop", "-w", f"-D{self.folder}/data", "-m", "immediate")

    def close(self) -> None:
        """Stop it and leave nothing."""
        self.stop()
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*as_user, str(self._bin / program), *arguments]
        log = self.folder / "commands"
        with log.open("a") as output:  # not a pipe: the server would keep it open
            subprocess.run(command, check=True, cwd="/", stdout=output, stderr=output)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
