"""The pages, one file each; `routes.py` of the room lists them."""
