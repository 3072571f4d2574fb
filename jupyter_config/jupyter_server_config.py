"""JupyterLab's launcher opens the pages: `jupyter lab --config jupyter_config/jupyter_server_config.py`."""

from flnb.dashboards.proxied import server

c = get_config()  # noqa: F821  # Jupyter defines it
c.ServerProxy.servers = {"flnb": server()}
