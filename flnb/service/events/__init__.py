"""Events for many listeners: two subscriptions at the coordinator, each event written once a role.

`feed.py` listens to the coordinator, `hub.py` keeps what a role may hear, `listeners.py` is the bounded
queue of one listener, `socket.py` the WebSocket. Read `hub.py` first.
"""
