"""Messages between two processes of ours over a private socket pair.

A frame is a header (number of buffers, number of descriptors, size of the body), the sizes of the
buffers, the body, the buffers. Each buffer is received straight into its final memory.
"""

from __future__ import annotations

import array
import os
import select
import socket
import struct
from collections.abc import Sequence
from typing import Any, Self

from flnb.processes.pickling import dump, load

_HEADER = struct.Struct("<IIQ")
_MAX_FDS = 64
_PARTS_A_CALL = 512
"""Pieces given to one system call; the kernel takes at most 1024."""
_GONE = "the process at the other end of the channel is gone"


class Channel:
    """One end of a two-way line to another process.

    Not for two threads that send, or two that receive, at the same time. Selectable: it has a
    `fileno`, so that many channels can be awaited with `selectors`.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        self._socket = connection

    @classmethod
    def pair(cls) -> tuple[Self, Self]:
        """Make both ends of a line."""
        one, other = socket.socketpair()
        return cls(one), cls(other)

    def fileno(self) -> int:
        """The descriptor, for selectors; -1 once closed."""
        return self._socket.fileno()

    def send(self, message: Any) -> None:
        """Send any object that cloudpickle takes; arrays are not copied, shared blocks not moved.

        Raises:
            EOFError: The other end is gone.
            TypeError: Something in it cannot be sent, such as an open file.
        """
        body, buffers, blocks = dump(message)
        sizes = struct.pack(f"<{len(buffers)}Q", *(buffer.nbytes for buffer in buffers))
        header = _HEADER.pack(len(buffers), len(blocks), len(body))
        fds = array.array("i", (block.fd for block in blocks))
        try:
            self._send_parts([memoryview(header + sizes), body, *buffers], fds)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise EOFError(_GONE) from error

    def recv(self, timeout_s: float | None = None) -> Any:
        """Wait for the next message.

        Args:
            timeout_s: Longest wait for a message to begin, in seconds; None waits for ever.

        Raises:
            TimeoutError: No message began in time.
            EOFError: The other end is gone; what it sent before can still be received.
        """
        if timeout_s is not None and not self.poll(timeout_s):
            raise TimeoutError(f"no message within {timeout_s} s")
        try:
            header, fds = self._recv_header()
            n_buffers, _, n_body = _HEADER.unpack(header)
            sizes = struct.unpack(f"<{n_buffers}Q", self._recv_part(8 * n_buffers))
            body = self._recv_part(n_body)
            buffers = [self._recv_part(size) for size in sizes]
        except ConnectionResetError as error:
            raise EOFError(_GONE) from error
        return load(body, buffers, fds)

    def poll(self, timeout_s: float = 0.0) -> bool:
        """Whether a message, or the end, can be received within so many seconds."""
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return bool(waiting.poll(1000 * timeout_s))

    def close(self) -> None:
        """Close this end; the other one gets EOFError."""
        self._socket.close()

    def _send_parts(self, parts: Sequence[memoryview], fds: array.array[int]) -> None:
        left = [part for part in parts if part.nbytes]
        # Descriptors travel with the first byte.
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)] if fds else []
        while left:
            sent = self._socket.sendmsg(left[:_PARTS_A_CALL], rights)
            rights, done = [], 0
            while done < len(left) and sent >= left[done].nbytes:
                sent -= left[done].nbytes
                done += 1
            left = left[done:]
            if sent:
                left[0] = left[0][sent:]

    def _recv_header(self) -> tuple[bytes, list[int]]:
        flags = socket.MSG_WAITALL | socket.MSG_CMSG_CLOEXEC
        header, fds, _, _ = socket.recv_fds(self._socket, _HEADER.size, _MAX_FDS, flags)
        if len(header) < _HEADER.size:
            for fd in fds:
                os.close(fd)
            raise EOFError(_GONE)
        return header, fds

    def _recv_part(self, size: int) -> bytearray:
        part = bytearray(size)
        left = memoryview(part)
        while left:
            received = self._socket.recv_into(left)
            if not received:
                raise EOFError(_GONE)
            left = left[received:]
        return part
