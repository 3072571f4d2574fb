"""Hold a lab and listen, until the input ends: a coordinator without runs."""

import sys

import flnb


def main(lab):
    with flnb.Coordinator(flnb.open(lab)) as coordinator:
        coordinator.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
