"""A coordinator held from elsewhere: what the service answers, and what `flnb.connect` returns.

`service.py` is the coordinator's side, `connection.py` the caller's; `plain.py` is how pictures,
closed rounds and errors travel. Read design/005-control.md first.
"""
