"""Everything that lasts: state (SQL), history (Icechunk over Zarr), metrics (DuckDB).

Here is what survives a crash and how. The state database is the only commit point; the metrics
are a projection of it, and a commit of the history counts only once a closing names it. Nothing
here knows what a round or a model means: it stores columns and flat arrays. Read `labstore.py`
first, then `state.py` (with its parts, from `runs.py` to `epochs.py`), `records.py` and `tables.py`.
"""

from flnb.store.aggregates import FOR_VIEWERS, aggregates
from flnb.store.cursor import Cursor
from flnb.store.expiry import DAMAGED, EXPIRED, FREED, in_spans, in_words
from flnb.store.exporting import copy_file, export_tables
from flnb.store.filling import MakeVector
from flnb.store.generations import Request
from flnb.store.guests import GuestLease
from flnb.store.history import History
from flnb.store.kept import Keeping, KeptUpdate, KeptUpdates
from flnb.store.labstore import LabStore
from flnb.store.lease import Holder, Lease
from flnb.store.lineage import Generation, Line, RoundKey, Segment
from flnb.store.lines import Stretch
from flnb.store.metrics import Metrics
from flnb.store.name_rows import KEPT
from flnb.store.pages import Page
from flnb.store.records import (
    ClientRecord,
    Closing,
    Command,
    FailedAttempt,
    Forgotten,
    Head,
    InviteRecord,
    JournalRecord,
    Named,
    Operation,
    QuarantineRecord,
    RunRecord,
    TokenRecord,
)
from flnb.store.requests import OF_THE_LAB
from flnb.store.retention import YOUNGEST, Freed, sweep, weigh
from flnb.store.shared_lease import SharedLease, SharedStay
from flnb.store.signing import LogKey, is_signed
from flnb.store.state import StateStore
from flnb.store.study_labels import labelled, varying
from flnb.store.study_records import Claim, Outcome, StudyCell, StudyRecord
from flnb.store.table import Table
from flnb.store.tables import TABLES, Column, TableSpec
from flnb.store.tail import Glimpse, Happened
from flnb.store.viewed import HIDDEN, plan_viewed, settings_viewed, viewed
from flnb.store.writer import HistoryWriter, Ticket

__all__ = [
    "DAMAGED",
    "EXPIRED",
    "FOR_VIEWERS",
    "FREED",
    "HIDDEN",
    "KEPT",
    "OF_THE_LAB",
    "TABLES",
    "YOUNGEST",
    "Claim",
    "ClientRecord",
    "Closing",
    "Column",
    "Command",
    "Cursor",
    "FailedAttempt",
    "Forgotten",
    "Freed",
    "Generation",
    "Glimpse",
    "GuestLease",
    "Happened",
    "Head",
    "History",
    "HistoryWriter",
    "Holder",
    "InviteRecord",
    "JournalRecord",
    "Keeping",
    "KeptUpdate",
    "KeptUpdates",
    "LabStore",
    "Lease",
    "Line",
    "LogKey",
    "MakeVector",
    "Metrics",
    "Named",
    "Operation",
    "Outcome",
    "Page",
    "QuarantineRecord",
    "Request",
    "RoundKey",
    "RunRecord",
    "Segment",
    "SharedLease",
    "SharedStay",
    "StateStore",
    "Stretch",
    "StudyCell",
    "StudyRecord",
    "Table",
    "TableSpec",
    "Ticket",
    "TokenRecord",
    "aggregates",
    "copy_file",
    "export_tables",
    "in_spans",
    "in_words",
    "is_signed",
    "labelled",
    "plan_viewed",
    "settings_viewed",
    "sweep",
    "varying",
    "viewed",
    "weigh",
]
