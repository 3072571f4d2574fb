"""JupyterLab with flnb in place: `jupyter lab --config jupyter_config/jupyter_server_config.py`.

The launcher opens the pages, and offers the kernel "flnb", in which `%load_ext flnb` has been done.
"""

import os
from pathlib import Path

from flnb.dashboards.proxied import server

c = get_config()  # noqa: F821  # Jupyter defines it
c.ServerProxy.servers = {"flnb": server()}
# Where kernels are looked for is read from here when the server looks; `kernels/` lies beside this file.
searched = [str(Path(__file__).parent), *filter(None, [os.environ.get("JUPYTER_PATH")])]
os.environ["JUPYTER_PATH"] = os.pathsep.join(searched)
