"""One HTML file that opens anywhere, offline: of a run, and of a study.

Numbers come from tables and nowhere else; each stands in the page twice, as people read it and with all its
digits (`<data value=…>`). No script, no request. Read `of_run.py` first, then `page.py`.
"""
