"""A page that shows every endpoint, made of the OpenAPI: no script, nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse

router = APIRouter(include_in_schema=False)
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
section { border-top: 1px solid #8884; padding: .4rem 0 }
h3 { font: 600 1rem ui-monospace, monospace; margin: .4rem 0 }
b { display: inline-block; min-width: 3.5rem; color: #0a6c74 }
table { border-collapse: collapse } td { padding: .1rem 1rem .1rem 0; vertical-align: top }
code, pre { font-family: ui-monospace, monospace; font-size: .9rem } pre { overflow-x: auto }
@media (prefers-color-scheme: dark) { b { color: #6fd3dc } }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


@router.get("/")
async def door() -> RedirectResponse:
    """People find the page."""
    return RedirectResponse("/docs")


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Show every endpoint."""
    told = request.app.openapi()
    place = f"{request.url.scheme}://{request.url.netloc}"
    return HTMLResponse(page(told, place), headers={"Content-Security-Policy": _POLICY})


def page(told: dict[str, Any], place: str) -> str:
    """Write the page.

    Args:
        told: The OpenAPI.
        place: Where the service is.
    """
    sections: dict[str, list[str]] = {}
    for path, methods in told["paths"].items():
        for method, one in methods.items():
            sections.setdefault(one["tags"][0], []).append(_endpoint(method, path, one, place))
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(found)}" for tag, found in sections.items())
    about = "".join(f"<p>{escape(line)}</p>" for line in told["info"]["description"].split("\n\n"))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>flnb: REST</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>flnb {escape(told['info']['version'])}</h1>{about}"
        f'<p>For programs: <a href="/openapi.json">openapi.json</a></p>{body}</html>'
    )


def _endpoint(method: str, path: str, one: dict[str, Any], place: str) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code><td>{escape(each['in'])}"
        f"<td>{escape(each.get('description', ''))}"
        for each in one.get("parameters", [])
    )
    post = ' -X POST -H "Flnb-Request: 1"' if method == "post" else ""
    body = ' -H "Content-Type: application/json" -d @body.json' if "requestBody" in one else ""
    curl = f'curl{post}{body} -H "Authorization: Bearer $PASS" {place}{path}'
    said = "".join(f"<p>{escape(part)}</p>" for part in one.get("description", "").split("\n\n"))
    return (
        f"<section><h3><b>{method.upper()}</b> {escape(path)}</h3>{said}"
        f"<table>{rows}</table><pre>{escape(curl)}</pre></section>"
    )
