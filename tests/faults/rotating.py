"""One end of a change of keys: `rotating.py serve LAB` or `rotating.py rotate INVITE HOME`."""

import sys
import threading
import time
from contextlib import suppress

import flnb
from flnb.client import rotate_key
from flnb.core.errors import UnreachableError


def rotated(invite, home):
    """Ask until somebody answers."""
    while True:
        with suppress(UnreachableError):
            rotate_key(invite, home=home)
            return
        time.sleep(0.1)


def main():
    if sys.argv[1] == "rotate":
        rotated(*sys.argv[2:])
        return
    with flnb.Coordinator(sys.argv[2]) as coordinator:
        coordinator.listen()
        threading.Event().wait()


if __name__ == "__main__":
    main()
