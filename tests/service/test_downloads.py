"""Files that are sent in parts: how much is asked of the coordinator for one."""

import asyncio

import httpx
import pytest

from flnb.service import Gateway, ServiceSettings, make_app
from flnb.transport.v1 import control_pb2 as pb

FILE = bytes(range(200))


class Sends(Gateway):
    """The way to a coordinator that sends a file, and counts the calls for it."""

    open = most = n_calls = sent = 0

    async def listen(self, token, method, request):
        self.open, self.n_calls = self.open + 1, self.n_calls + 1
        self.most = max(self.most, self.open)
        try:
            yield pb.FileHead(n_bytes=len(FILE), sha256="ab").SerializeToString()
            rest = FILE[request.after :]
            self.sent += len(rest)
            yield rest
        finally:
            self.open -= 1


def asked(method="GET", **headers):
    """An answer to somebody who wants the file, and the way that it went."""
    settings = ServiceSettings(address="127.0.0.1:1", viewer="v", operator="o", hosts=("here:1",))

    async def run():
        way = Sends(settings)
        asks = httpx.AsyncClient(
            transport=httpx.ASGITransport(make_app(way, settings)), base_url="http://here:1"
        )
        async with asks:
            named = {name.replace("_", "-"): told for name, told in headers.items()}
            path, who = "/api/models/r.1.1/download", {"Authorization": "Bearer x"}
            answer = await asks.request(method, path, headers=named | who)
        await way.close()
        return answer, way

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({}, FILE),
        ({"range": "bytes=10-"}, FILE[10:]),
        ({"range": "bytes=-5"}, FILE[-5:]),
        ({"range": "bytes=5-", "if_range": '"old"'}, FILE),
    ],
)
def test_one_download_holds_one_call_at_a_time(headers, sent):
    answer, way = asked(**headers)
    assert (answer.content, way.most, way.open) == (sent, 1, 0)


def test_who_looks_at_the_head_of_a_file_is_sent_nothing_of_it():
    whole, _ = asked()
    head, way = asked("HEAD", range="bytes=10-")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "200")
    names = ("etag", "accept-ranges", "content-disposition", "content-type")
    assert [head.headers[name] for name in names] == [whole.headers[name] for name in names]
    assert (way.n_calls, way.sent) == (1, 0)
    known, _ = asked("HEAD", if_none_match=whole.headers["etag"])
    assert known.status_code == 304
