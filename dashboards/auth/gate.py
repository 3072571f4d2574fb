"""Sign-in of `panel serve dashboards/*.py --auth-module dashboards/auth/gate.py`."""

import sys

from flnb.dashboards.served import gate

get_user = gate().get_user
login_url = gate().login_url
LoginHandler = gate().login_handler
logout_url = gate().logout_url
LogoutHandler = gate().logout_handler
sys.stderr.write(f"sign in, once: /sign-in?ticket={gate().doorman.ticket()}&next=/overview\n")
