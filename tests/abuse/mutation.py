"""Valid messages made wrong: fields with odd values, and bytes flipped, cut, grown and spliced."""

from __future__ import annotations

import math

from google.protobuf.descriptor import FieldDescriptor as Field

from flnb.transport import PROTOCOL
from flnb.transport.v1 import federation_pb2 as pb

EDGES = (b"\x00", b"\xff", b"\xff\xff\xff\xff\x0f", b"\xff" * 9 + b"\x01", b"\x80" * 12, b"\x7f")


WORDS = ("", "x", "x" * 10_000, "../../etc", "\0", "größe 😀", "r'; DROP TABLE runs; --")
NUMBERS = (0, 1, 2, 2**16, 2**31 - 1, 2**32 - 1)
LARGE = (*NUMBERS, 2**32, 2**40, 2**63, 2**64 - 1)
REALS = (0.0, -1.0, math.nan, math.inf, -math.inf, 1e308, 1e-320)


def wrong(chance, message):
    """A valid message with wrong fields, or wrong bytes, or both; as bytes."""
    message = type(message).FromString(message.SerializeToString())
    kind = chance.randrange(4)
    for _ in range(chance.randint(1, 3) if kind else 0):
        twist(chance, message)
    data = message.SerializeToString()
    return mutated(chance, data) if kind in {0, 3} else data


def twist(chance, message):
    """Give one field of a message, or of one within it, an odd value."""
    if not (known := list(message.DESCRIPTOR.fields)):
        return
    fields = [field for field, _ in message.ListFields()] or known
    field = chance.choice([*fields, chance.choice(known)])
    if field.is_repeated:
        values = getattr(message, field.name)
        if field.type != Field.TYPE_MESSAGE:
            values.extend(_odd(chance, field) for _ in range(chance.choice([1, 5, 2000])))
        elif values and chance.random() < 0.7:
            twist(chance, chance.choice(values))
        else:
            for _ in range(chance.choice([1, 5, 2000])):
                values.add()
    elif field.type == Field.TYPE_MESSAGE:
        if chance.random() < 0.1:
            message.ClearField(field.name)
        else:
            twist(chance, getattr(message, field.name))
    else:
        setattr(message, field.name, _odd(chance, field))


def _odd(chance, field):
    match field.type:
        case Field.TYPE_STRING:
            return chance.choice(WORDS)
        case Field.TYPE_BYTES:
            return chance.randbytes(chance.choice([0, 1, 31, 32, 33, 64, 5000]))
        case Field.TYPE_DOUBLE:
            return chance.choice(REALS)
        case Field.TYPE_UINT64:
            return chance.choice(LARGE)
        case Field.TYPE_BOOL:
            return chance.random() < 0.5
        case _:
            return chance.choice(NUMBERS)


def mutated(chance, data):
    """One to four changes of some bytes."""
    for _ in range(chance.randint(1, 4)):
        data = chance.choice(_CHANGES)(chance, bytes(data))
    return data


def _flip(chance, data):
    if not data:
        return b"\x01"
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def _cut(chance, data):
    return data[: chance.randrange(len(data) + 1)]


def _grow(chance, data):
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.randbytes(chance.randrange(1, 40)) + data[place:]


def _edge(chance, data):
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.choice(EDGES) + data[place + chance.randrange(2) :]


def _repeat(chance, data):
    start = chance.randrange(len(data) + 1)
    piece = data[start : start + chance.randrange(1, 60)]
    return data[:start] + piece * chance.randrange(2, 30) + data[start:]


def _drop(chance, data):
    start = chance.randrange(len(data) + 1)
    return data[:start] + data[start + chance.randrange(1, 20) :]


_CHANGES = (_flip, _cut, _grow, _edge, _repeat, _drop)


def envelope_of(work, base_digest, manifest):
    """A valid envelope for an assignment."""
    return pb.Envelope(
        assignment=work,
        base_digest=base_digest,
        update=manifest,
        n_examples=40,
        loss=0.5,
        train_s=0.1,
        metrics=[pb.Metric(name="accuracy", total=3.0, count=4.0)],
    )


def notes_of(work, offer):
    """One valid note of each kind that a client may say after its hello."""
    return [
        pb.ClientNote(
            hello=pb.Hello(protocol=PROTOCOL, layout_hash="l", n_examples=3, held=[work])
        ),
        pb.ClientNote(alive=pb.Alive(working_on=work)),
        pb.ClientNote(offer=offer),
        pb.ClientNote(failure=pb.Failure(assignment=work, traceback="Traceback: …")),
        pb.ClientNote(proof=pb.Proof(nonce=b"n" * 56, signature=b"s" * 64)),
        pb.ClientNote(leaving=pb.Leaving()),
    ]
