"""The pages behind JupyterLab: what `jupyter-server-proxy` starts when its launcher is clicked."""

from __future__ import annotations

import secrets
import sys
from typing import Any

HEADER = "X-Flnb-Proxy"


def server() -> dict[str, Any]:
    """The entry for `ServerProxy.servers`, as `jupyter_config/` hands it over; no entry point does so again.

    The lab is what `FLNB_LAB`, or the pass in `FLNB_PASS`, names in Jupyter's environment; `./lab`
    otherwise. Whoever is signed in to Jupyter is signed in here: the proxy says a word with every
    request that nobody else knows.
    """
    word = secrets.token_urlsafe(32)
    command = [sys.executable, "-m", "flnb.dashboards", "-", "--port", "{port}"]
    return {
        "command": [*command, "--prefix", "{base_url}flnb"],
        "environment": {"FLNB_PROXY_WORD": word, "BOKEH_RESOURCES": "server"},
        "request_headers_override": {HEADER: word},
        "absolute_url": True,
        "timeout": 60,
        "launcher_entry": {"enabled": True, "title": "flnb dashboards"},
    }
