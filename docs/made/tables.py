"""The page of the SQL tables, from the place where they are described for DuckDB, too."""

from __future__ import annotations

from docs.made.markdown import code, page, table
from flnb.store.tables import KEY, TABLES, TableSpec

_ABOUT = """What `lab.sql("select …")`, `%%flsql`, `flnb sql`, `POST /api/sql` and the page SQL ask. One `SELECT` at a time, read-only; a
viewer asks what has no single clients in it ([roles](../control.md#roles)). The state database of a shared lab is another matter: its
tables may change, these do not without a word in the changelog."""


def written() -> str:
    """Write the page."""
    names = ", ".join(code(name) for name in (column.name for column in KEY))
    joined = f"Tables of rounds share the columns {names}: `JOIN … USING (run, branch, generation, round)`."
    return page("SQL tables", _ABOUT, joined, *(_section(each) for each in TABLES))


def _section(spec: TableSpec) -> str:
    rows = [[code(column.name), column.sql_type, column.description] for column in spec.columns]
    body = table(["column", "type", "meaning"], rows)
    return f"## {code(spec.name)}\n\n{spec.description}.\n\n{body}"
