"""What the documentation's site says that nobody writes by hand.

Each file here asks the program one thing (its commands, settings, tables, errors, endpoints, names) and
writes a page of Markdown. `staging.py` puts these pages beside the written ones, `notebooks.py` executes
the notebooks, and `make docs` lets Sphinx make HTML of it all. Read `__main__.py` first.
"""
