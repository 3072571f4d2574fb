"""Models as files that can be resumed: `ETag` is the file's digest, `Range` asks for a part."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from flnb.service.gateway import Gateway
from flnb.service.tags import matches
from flnb.transport.v1 import control_pb2 as pb

TENSORS = "application/vnd.safetensors"
_BEYOND = 10**18
"""Where no file has anything left to be sent."""
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


async def send_file(
    way: Gateway, token: str, key: pb.RoundKey, headers: Headers, *, head_only: bool = False
) -> Response:
    """Answer with a model's file, or with the part of it that was asked for.

    Args:
        way: To the coordinator.
        token: Of whoever asks.
        key: The committed round.
        headers: Of the request.
        head_only: Whether only the headers of the whole file are waited for.

    Raises:
        NotFoundError: The round has no commit.
        TooManyCallsError: Too many are being sent.
    """
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(way.download())
        asked = headers.get("range", "")
        call = await stack.enter_async_context(AsyncExitStack())
        begins = _BEYOND if head_only else _first(asked)
        head, parts = await _begun(way, token, key, begins, call)
        tag = f'"{head.sha256}"'
        told = {
            "ETag": tag,
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
            "Content-Disposition": f'attachment; filename="{_file_of(key)}"',
        }
        if matches(headers.get("if-none-match", ""), tag):
            return Response(status_code=304, headers=told)
        if head_only:
            return Response(
                headers=told | {"Content-Length": str(head.n_bytes)}, media_type=TENSORS
            )
        if headers.get("if-range", tag) != tag:
            asked = ""  # it is another file by now: from the beginning
        part = _part(asked, head.n_bytes)
        first, last = part or (0, head.n_bytes - 1)
        if first != begins:
            await call.aclose()  # a download is one call at a time: others wait for those
            head, parts = await _begun(way, token, key, first, call)
        told["Content-Length"] = str(last - first + 1)
        if part is not None:
            told["Content-Range"] = f"bytes {first}-{last}/{head.n_bytes}"
        sent = _until_sent(parts, last - first + 1, stack.pop_all())
        status = 200 if part is None else 206
        return StreamingResponse(sent, status, headers=told, media_type=TENSORS)


async def _begun(
    way: Gateway, token: str, key: pb.RoundKey, first: int, stack: AsyncExitStack
) -> tuple[pb.FileHead, AsyncGenerator[bytes, None]]:
    """Begin to read a file from some byte on; its head is there, the rest comes as it is read."""
    request = pb.ExportRequest(round=key, after=first)
    parts = way.listen(token, "Export", request)
    await stack.enter_async_context(aclosing(parts))
    return pb.FileHead.FromString(await anext(parts)), parts


async def _until_sent(
    parts: AsyncIterator[bytes], left: int, held: AsyncExitStack
) -> AsyncIterator[bytes]:
    """Send so many bytes, then let go of what was held for it; also when the reader goes."""
    async with held:
        async for part in parts:
            yield part[:left]
            left -= len(part)
            if left <= 0:
                return


def _file_of(key: pb.RoundKey) -> str:
    """What to call the file."""
    run = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in key.run[:40])
    return f"{run}-{key.generation}-{key.round}.safetensors"


def _first(asked: str) -> int:
    """Where a range begins, as far as one can say who does not know how long the file is."""
    found = _RANGE.fullmatch(asked)
    return int(found[1]) if found and found[1] else 0


def _part(asked: str, n_bytes: int) -> tuple[int, int] | None:
    """First and last byte of a range; None if it asks for all, or in words that are not known.

    Raises:
        HTTPException: There is no such part.
    """
    found = _RANGE.fullmatch(asked)
    if found is None or not (found[1] or found[2]):
        return None
    if found[1]:
        first = int(found[1])
        last = min(int(found[2]), n_bytes - 1) if found[2] else n_bytes - 1
    else:
        first, last = max(0, n_bytes - int(found[2])), n_bytes - 1
    if first > last:
        raise HTTPException(
            416, f"the file has {n_bytes} bytes", {"Content-Range": f"bytes */{n_bytes}"}
        )
    return first, last
