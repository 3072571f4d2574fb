"""FLNB_LAB=./lab panel serve dashboards/*.py --auth-module dashboards/auth/gate.py."""

from flnb.dashboards.served import serve

serve("clients")
