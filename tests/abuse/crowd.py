"""A crowd that wants no good: `python crowd.py PORT N KIND`.

It opens connections, writes how many it got, keeps them up until its input ends, and goes.

    silent    says nothing
    trickle   says a handshake, one byte a second
    idle      says a whole handshake, then nothing
    slow      begins a call and says its body one byte a second
"""

import resource
import selectors
import socket
import sys
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
PATH = b"/flnb.v1.Federation/Challenge"
HEADERS = b"\x83\x86\x41\x01x\x04" + bytes([len(PATH)]) + PATH + b"\x5f\x10application/grpc"
CALL = PREFACE + bytes([0, 0, len(HEADERS), 1, 4, 0, 0, 0, 1]) + HEADERS
BODY = b"\x00\x00\x40\x00\x00\x00\x00\x00\x01" + b"\x00\x00\x00\x00\x3b" + bytes(59)
SAID = {"silent": b"", "trickle": b"", "idle": PREFACE, "slow": CALL}
TRICKLED = {"trickle": PREFACE, "slow": BODY}


def main():
    port, n, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    lines = []
    for number in range(n):
        try:
            lines.append(socket.create_connection(("127.0.0.1", port), 5))
            lines[-1].sendall(SAID[kind])
        except OSError:
            lines = [line for line in lines if line.fileno() >= 0]
        if number % 50 == 0:
            time.sleep(0.02)  # the backlog of a port is short
    for line in lines:
        line.setblocking(False)
    print(len(lines), flush=True)
    watch = selectors.DefaultSelector()
    watch.register(sys.stdin, selectors.EVENT_READ)
    for turn in range(10**6):
        if watch.select(1.0):
            break
        if kind in TRICKLED:
            _trickle(lines, TRICKLED[kind], turn)


def _trickle(lines, text, turn):
    for line in lines:
        try:
            line.send(text[turn : turn + 1] or b"\x00")
        except OSError:
            continue  # it was ended


if __name__ == "__main__":
    main()
