"""Clients that live elsewhere, as one more kind of participants.

`front.py` is what a gRPC server talks to: it knows who is here. `participants.py` is what a run
talks to. Between them is `work.py`: the assignments of one stage, pure and without sockets. Not
here: how bytes travel (`flnb.transport`), what a client does (`flnb.client`). Read `work.py` first.
"""
