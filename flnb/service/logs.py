"""Logs of a service and of a coordinator: lines for people or JSON for programs, without secrets.

Everything logs by the standard library; this decides how that is written. What belongs to a line (`run`,
`round`, `client`, `request`) goes along as its own field: `log.info("…", extra={"run": name})`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

HIDDEN = "…"
_KEYS = frozenset(["authorization", "token", "password", "secret", "cookie", "pass"])
_SECRETS = (
    re.compile(r"(?i)(?<=bearer )[^\s\"',]+"),
    re.compile(r"(?i)(?<=token=)[^&\s\"']+"),
    re.compile(r"(?i)(?<=basic )[A-Za-z0-9+/=]{8,}"),
    re.compile(
        r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
    ),  # a token, wherever it stands
    re.compile(r"\bflnb[a-z]*\d+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{8}\b"),  # an invite or a pass
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),  # a name and its password in an address
)


def without_secrets(value: Any) -> Any:
    """The same, with a sign in the place of tokens, passes, invites and passwords.

    Examples:
        >>> without_secrets("GET /ws/events?token=abc&runs=x with Bearer xyz")
        'GET /ws/events?token=…&runs=x with Bearer …'
        >>> without_secrets({"Authorization": "Bearer xyz", "run": "first"})
        {'Authorization': '…', 'run': 'first'}
    """
    if isinstance(value, str):
        for secret in _SECRETS:
            value = secret.sub(HIDDEN, value)
        return value
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if str(name).lower() in _KEYS else without_secrets(one)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(one) for one in value]
    return value if isinstance(value, int | float | bool | None) else without_secrets(str(value))


def configure(*, as_json: bool, stream: Any = None) -> None:
    """Let this process log so; what was configured before is forgotten.

    Args:
        as_json: One JSON object a line, of all that happens; else lines for people, of what is amiss.
        stream: Where to, as a file; standard error by default.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    write = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redact,
            write,
        ],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    # A person at a terminal does not want a line for each request; a program can choose.
    logging.getLogger("flnb").setLevel(logging.INFO if as_json else logging.WARNING)
    # It logs the whole address of each WebSocket.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _redact(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return dict(without_secrets(line))
