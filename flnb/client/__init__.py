"""A client in a process of its own: joins a coordinator, trains where the data is, sends updates.

Here are the loop of a client, one session with its coordinator, and what it keeps on its disk.
Not here: how bytes travel (`flnb.transport`), the training itself (`flnb.training`), and what the
coordinator makes of it (`flnb.coordinator`). Read `client.py` first, then `session.py`, then
`desk.py`.
"""

from flnb.client.client import Client
from flnb.client.events import ClientEvent
from flnb.client.rotation import rotate_key
from flnb.client.trainer import Train

__all__ = ["Client", "ClientEvent", "Train", "rotate_key"]
