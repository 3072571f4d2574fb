"""The wire between a coordinator and remote clients: gRPC, chunks, keys, tokens, certificates.

Here is how bytes travel and who may send them. What a round is, who takes part and where an
update goes is not known here: a server asks whoever implements `Hub`
(`flnb.coordinator.remote`), a client is `flnb.client`. Tensors travel as raw chunks with no
message around them; the messages are those of `proto/flnb/v1`, generated into `v1`. Read `hub.py`
first, then `server.py` and `link.py`, then `manifest.py`.
"""

from flnb.transport.certs import Authority, Certified, ServerCertificate
from flnb.transport.convert import PROTOCOL
from flnb.transport.hub import ChunkSink, Hub
from flnb.transport.identity import Identity, verify
from flnb.transport.limits import Limits
from flnb.transport.link import Access, Link, SessionCall
from flnb.transport.manifest import CHUNK_BYTES, Manifest, Package
from flnb.transport.server import Server
from flnb.transport.tokens import Claims, TokenIssuer

__all__ = [
    "CHUNK_BYTES",
    "PROTOCOL",
    "Access",
    "Authority",
    "Certified",
    "ChunkSink",
    "Claims",
    "Hub",
    "Identity",
    "Limits",
    "Link",
    "Manifest",
    "Package",
    "Server",
    "ServerCertificate",
    "SessionCall",
    "TokenIssuer",
    "verify",
]
