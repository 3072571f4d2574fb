"""Imported first, it lets the calls be checked of whatever is imported next, as they are in the tests.

`FLNB_CHECKED` names the packages; without it nothing is done.
"""

import os

from jaxtyping import install_import_hook

if packages := os.environ.get("FLNB_CHECKED"):
    install_import_hook(packages.split(","), "call_checks.checked")
