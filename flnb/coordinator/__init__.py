"""One thread, one loop: feeds facts to the round machine and carries out its orders.

Here are the lab, the coordinator and the run as people hold them. How rounds go is decided in
`rounds`; who trains is in `engines`; what is kept is in `store`. Read `runner.py` first: it is one
round from draw to close. Then `closer.py`: what makes a round durable.
"""

from flnb.coordinator.client_list import ClientList, ClientRow, clients_of
from flnb.coordinator.coordinator import Coordinator
from flnb.coordinator.details import RoundDetails
from flnb.coordinator.granting import Grant, grant_by_lab, revoked_words, token_state
from flnb.coordinator.here import coordinator_of
from flnb.coordinator.invitations import Invitation, invite_by_lab
from flnb.coordinator.lab import Lab
from flnb.coordinator.population import Population, Simulation
from flnb.coordinator.quarantine import end_quarantine, put_in_quarantine
from flnb.coordinator.run import Run
from flnb.coordinator.run_list import RunList

__all__ = [
    "ClientList",
    "ClientRow",
    "Coordinator",
    "Grant",
    "Invitation",
    "Lab",
    "Population",
    "RoundDetails",
    "Run",
    "RunList",
    "Simulation",
    "clients_of",
    "coordinator_of",
    "end_quarantine",
    "grant_by_lab",
    "invite_by_lab",
    "put_in_quarantine",
    "revoked_words",
    "token_state",
]
