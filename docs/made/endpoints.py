"""The page of REST: every endpoint, from the OpenAPI that the service makes of its code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from docs.made.markdown import code, page, table
from flnb.service import ServiceSettings, make_app
from flnb.service.gateway import Gateway

_ABOUT = """Made of the OpenAPI, which a service shows under `/openapi.json` (and, for people, under `/docs`). How to begin, who may what, and
what goes wrong stands in [REST for people's programs](../service.md); listening to `WS /ws/events` in [Events](../events.md), and what
`/metrics` shows in [Monitoring](../events.md#monitoring)."""
_NOBODY = ServiceSettings(
    address="127.0.0.1:1", viewer="none", operator="none", hosts=("localhost",)
)


class _NoWay(Gateway):
    """The way to no coordinator: to describe endpoints nobody is asked."""

    def __init__(self) -> None:
        self.viewer, self.operator = _NOBODY.viewer, _NOBODY.operator


def described() -> Mapping[str, Any]:
    """The OpenAPI of the service; nothing is started and nobody is asked."""
    app = make_app(_NoWay(), _NOBODY)
    return app.openapi()


def endpoints(told: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Walk over method, path and description of every endpoint."""
    for path, methods in told["paths"].items():
        for method, one in methods.items():
            yield method.upper(), path, one


def written() -> str:
    """Write the page."""
    told = described()
    sections: dict[str, list[str]] = {}
    for method, path, one in endpoints(told):
        sections.setdefault(one["tags"][0], []).append(_endpoint(method, path, one, told))
    parts = [part for tag, found in sections.items() for part in (f"## {tag.capitalize()}", *found)]
    return page("Endpoints", _ABOUT, *parts)


def _endpoint(method: str, path: str, one: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    rows = [
        [code(each["name"]), each["in"], _type(each["schema"]), each.get("description", "")]
        for each in one.get("parameters", [])
    ]
    rows += [
        [code(name), "body", _type(schema), schema.get("description", "")]
        for name, schema in _body(one, told).items()
    ]
    parameters = table(["", "in", "type", "meaning"], rows) if rows else ""
    parts = [f"### {code(f'{method} {path}')}", one.get("description", ""), parameters]
    return "\n\n".join(filter(None, parts))


def _body(one: Mapping[str, Any], told: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a request's body."""
    content = one.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = content.get("schema", {})
    named = [*schema.get("anyOf", []), schema]
    for each in named:
        if name := each.get("$ref", "").rpartition("/")[2]:
            return cast("Mapping[str, Any]", told["components"]["schemas"][name]["properties"])
    return {}


def _type(schema: Mapping[str, Any]) -> str:
    """A type in a word or two."""
    if "anyOf" in schema:
        found = [_type(each) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(found))
    if "enum" in schema:
        return " · ".join(map(str, schema["enum"]))
    return str(schema.get("type") or schema.get("$ref", "").rpartition("/")[2] or "anything")
