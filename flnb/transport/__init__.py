"""The wire between a coordinator and remote clients: gRPC, chunks, keys, tokens, certificates.

Here is how bytes travel and who may send them. What a round is, who takes part and where an
update goes is not known here: a server asks whoever implements `Hub`
(`flnb.coordinator.remote`), a client is `flnb.client`. People's programs speak to `Controls`
(`flnb.coordinator.control`) on the same port. Tensors travel as raw chunks with no
message around them; the messages are those of `proto/flnb/v1`, generated into `v1`. Read `hub.py`
first, then `server.py` and `link.py`, then `manifest.py`.
"""

from flnb.transport.access_pass import Pass
from flnb.transport.certs import Authority, Certified, ServerCertificate
from flnb.transport.control import Controls
from flnb.transport.control_link import ControlLink
from flnb.transport.convert import PROTOCOL
from flnb.transport.hub import ChunkSink, Hub
from flnb.transport.identity import Identity, verify
from flnb.transport.limits import Limits
from flnb.transport.link import Access, Link
from flnb.transport.manifest import CHUNK_BYTES, Manifest, Package, chunks_in, in_a_row
from flnb.transport.server import Server
from flnb.transport.session_call import SessionCall
from flnb.transport.tokens import Claims, TokenIssuer

__all__ = [
    "CHUNK_BYTES",
    "PROTOCOL",
    "Access",
    "Authority",
    "Certified",
    "ChunkSink",
    "Claims",
    "ControlLink",
    "Controls",
    "Hub",
    "Identity",
    "Limits",
    "Link",
    "Manifest",
    "Package",
    "Pass",
    "Server",
    "ServerCertificate",
    "SessionCall",
    "TokenIssuer",
    "chunks_in",
    "in_a_row",
    "verify",
]
