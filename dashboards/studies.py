"""One page under Panel's own server; docs/dashboards.md says what the options are for.

FLNB_LAB=./lab panel serve dashboards/*.py --auth-module dashboards/auth/gate.py
--exclude-cookies flnb-5006 --exclude-headers Cookie
"""

from flnb.dashboards.served import serve

serve("studies")
