"""How much a client may say of itself: what is longer is refused or cut before anything is kept."""

from __future__ import annotations

from flnb.coordinator.remote.work import MAX_EXAMPLES
from flnb.core.errors import AccessRefusedError, IntegrityError
from flnb.transport.v1 import federation_pb2 as pb

_NAME, _WORD, _HELD, _STORY, _LIFE = 64, 256, 1000, 20_000, 64


def check_name(client: str) -> None:
    """Look whether somebody could be called that, before it costs anything.

    Raises:
        AccessRefusedError: No client has such a long name.
    """
    if len(client) > _NAME:
        raise AccessRefusedError(
            f"a client's name has at most {_NAME} characters, this one {len(client):,}"
        )


def check_hello(hello: pb.Hello) -> None:
    """Look at the first note of a session.

    Raises:
        IntegrityError: Something in it is out of all bounds.
    """
    for name in ("version", "task", "layout_hash", "code_digest"):
        if (length := len(getattr(hello, name))) > _WORD:
            raise IntegrityError(f"the {name} of a hello has {length:,} characters, over {_WORD}")
    if len(hello.life) > _LIFE:
        raise IntegrityError(f"the life of a hello has {len(hello.life):,} bytes, over {_LIFE}")
    if not hello.layout_hash:
        raise IntegrityError("a hello says how the model lies: its layout_hash is empty")
    if len(hello.held) > _HELD:
        raise IntegrityError(f"a client holds {len(hello.held):,} updates, over {_HELD:,}")
    if not 1 <= hello.n_examples <= MAX_EXAMPLES:
        raise IntegrityError(f"a client with {hello.n_examples:,} examples cannot take part")


def story_of(failure: pb.Failure) -> str:
    """The end of a traceback, which says what went wrong."""
    return failure.traceback[-_STORY:]
