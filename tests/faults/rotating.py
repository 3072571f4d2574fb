"""One end of a change of keys: `rotating.py serve LAB` or `rotating.py rotate INVITE HOME`."""

import sys
import threading

import flnb
from flnb.client import rotate_key


def main():
    if sys.argv[1] == "rotate":
        rotate_key(sys.argv[2], home=sys.argv[3])
        return
    with flnb.Coordinator(sys.argv[2]) as coordinator:
        coordinator.listen()
        threading.Event().wait()


if __name__ == "__main__":
    main()
