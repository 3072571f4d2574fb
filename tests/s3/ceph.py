"""A Ceph of these tests' own, from Debian's packages: monitor, one OSD in memory, manager, gateway.

apt-get install radosgw ceph-mon ceph-osd ceph-mgr
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path

from tests.s3.servers import Server, Strict, free_port, listens, wait_for

PROGRAMS = ("ceph-mon", "ceph-osd", "ceph-mgr", "radosgw", "radosgw-admin")
START_S = 120.0
_SETTINGS = """
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{monitor}]
public_network = 127.0.0.0/8
ms_bind_msgr1 = false
ms_bind_ipv6 = false
run_dir = {folder}
crash_dir = {folder}
admin_socket = {folder}/$name.asok
log_file = {folder}/$name.log
pid_file = {folder}/$name.pid
keyring = {folder}/keyring
mon_data = {folder}/mon
osd_data = {folder}/osd
mgr_data = {folder}/mgr
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_crush_chooseleaf_type = 0
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
setuser_match_path = {folder}
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw_enable_ops_log = false
"""
_KEYS = {
    "mon.": ("mon", "allow *"),
    "client.admin": ("mon", "allow *", "osd", "allow *", "mgr", "allow *"),
    "client.rgw": ("mon", "allow *", "osd", "allow *", "mgr", "allow *"),
    "mgr.x": ("mon", "allow profile mgr", "osd", "allow *"),
    "osd.0": ("mon", "allow profile osd", "osd", "allow *", "mgr", "allow profile osd"),
}


def installed() -> bool:
    return all(shutil.which(program) for program in PROGRAMS)


class Ceph(Server):
    """A gateway that checks keys and conditions, as AWS does; `tcp_nodelay` or each answer waits 40 ms."""

    checks_keys = True

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="flnb-ceph-", dir="/tmp"))
        self.port, monitor, fsid = free_port(), free_port(), str(uuid.uuid4())
        settings = _SETTINGS.format(fsid=fsid, monitor=monitor, port=self.port, folder=self.folder)
        (self.folder / "ceph.conf").write_text(settings)
        try:
            self._make_cluster(fsid, monitor)
            self._start_gateway()
        except BaseException:
            self.close()
            raise

    def strict(self) -> Strict:
        """A bucket of its own, and a user who has no right to it."""
        self.make_bucket("guarded")
        self._make_user("stranger", "stranger-key", "stranger-secret")
        keys = {"AWS_ACCESS_KEY_ID": "stranger-key", "AWS_SECRET_ACCESS_KEY": "stranger-secret"}
        return Strict("guarded", self.environment() | keys)

    def close(self) -> None:
        for file in self.folder.glob("*.pid"):
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(file.read_text()), signal.SIGKILL)
        shutil.rmtree(self.folder)

    def _make_cluster(self, fsid: str, monitor: int) -> None:
        keyring, map_ = self.folder / "keyring", self.folder / "monmap"
        self._run("ceph-authtool", "--create-keyring", keyring)
        for name, rights in _KEYS.items():
            caps = [
                part for k in range(0, len(rights), 2) for part in ("--cap", *rights[k : k + 2])
            ]
            self._run("ceph-authtool", keyring, "--gen-key", "-n", name, *caps)
        address = f"[v2:127.0.0.1:{monitor}]"
        self._run("monmaptool", "--create", "--addv", "a", address, "--fsid", fsid, map_)
        for part in ("mon", "osd", "mgr"):
            (self.folder / part).mkdir()
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", map_, "--keyring", keyring)
        self._run("ceph-mon", "-i", "a")
        self._run("ceph-mgr", "-i", "x")
        disk = str(uuid.uuid4())
        self._run("ceph", "osd", "new", disk)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
        self._run("ceph-osd", "-i", "0")

    def _start_gateway(self) -> None:
        self._run("radosgw", "-n", "client.rgw")
        self._make_user("flnb", self.key, self.secret)
        wait_for(lambda: listens(self.port), "the gateway listens", START_S)

    def _make_user(self, name: str, key: str, secret: str) -> None:
        keys = (f"--access-key={key}", f"--secret-key={secret}")
        who = ("-n", "client.rgw", "user", "create", f"--uid={name}", f"--display-name={name}")
        self._run("radosgw-admin", *who, *keys)

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [program, "-c", self.folder / "ceph.conf", *arguments]
        if program in {"ceph-authtool", "monmaptool"}:
            command = [program, *arguments]
        with (self.folder / "commands").open("a") as log:  # not a pipe: daemons keep it open
            subprocess.run(command, check=True, stdout=log, stderr=log, timeout=START_S)
