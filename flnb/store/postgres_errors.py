"""What the errors of PostgreSQL mean for a lab, by SQLSTATE where the server gave one."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from flnb.core.errors import AddressError, StorageFullError, StorageUnreachableError, StoreError

_ENDED = ("08", "57P", "25P03", "53300")
"""Connection lost, server shut down, session ended for standing still, too many of them."""
_REFUSED = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",
    "not permitted to log in",
    "permission denied for database",
)
_MEANS: dict[str, tuple[str, str]] = {
    "22": ("cannot hold this", ""),
    "23503": ("holds no such run", ""),
    "23505": ("holds this already", ""),
    "23": ("cannot hold this", ""),
    "25006": ("can only be read", "is it a standby? name the primary"),
    "3F000": ("has no such schema", "CREATE SCHEMA it first"),
    "42501": ("does not let this user write", "let the user own the database, or the schema"),
    "55P03": (
        "was locked by another process for too long",
        "see in pg_stat_activity which one it is, then try again",
    ),
    "57014": ("took too long", "see in pg_stat_activity what keeps it busy, then try again"),
}


def explained(error: DBAPIError, name: str) -> StoreError:
    """Say what an error of the driver means.

    Args:
        error: As SQLAlchemy raised it.
        name: The database, without its password.
    """
    state = getattr(error.orig, "sqlstate", None) or ""
    said = " ".join(str(error.orig).split())
    if state.startswith("531"):
        return StorageFullError(name, 0)
    if not state and any(text in said for text in _REFUSED):
        hint = "look at user, password (PGPASSWORD, ~/.pgpass) and name of the database"
        return AddressError(f"{name} refuses: {said}", hint=hint)
    # Without a code the server said nothing: it was not reached, or went away.
    if state.startswith(_ENDED) or (not state and _of_connection(error)):
        return StorageUnreachableError(name, said)
    for code, (meaning, hint) in _MEANS.items():
        if state.startswith(code):
            return StoreError(f"{name} {meaning}: {said}", hint=hint)
    return StoreError(f"{name} answers with an error: {said}")


def _of_connection(error: DBAPIError) -> bool:
    return type(error).__name__ in {"OperationalError", "InterfaceError", "InternalError"}
