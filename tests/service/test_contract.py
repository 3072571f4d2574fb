"""Every endpoint keeps what the OpenAPI says of it, whatever it is called with; and never fails.

Calls that change something are made in a role that may not, and as one that may with names that there
are not: what they answer is checked as well, and the lab stays as it is.
"""

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.service.conftest import token_in

BOUNDED = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
FURTHER = settings(BOUNDED, max_examples=150, derandomize=False)
WORDS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
schema = schemathesis.pytest.from_fixture("described")


@pytest.fixture(scope="session")
def described(served):
    told = httpx.get(f"{served.url}/openapi.json", timeout=30).json()
    return schemathesis.openapi.from_dict(told)


@pytest.fixture(scope="session")
def tokens(served):
    return {role: token_in(served.lab, f"c-{role}", role) for role in ("viewer", "admin")}


def keeps_its_word(case, served, tokens):
    """Call as whoever may look everywhere, or as whoever may change nothing."""
    role = "admin" if case.method == "GET" or case.path == "/api/sql" else "viewer"
    headers = {"Authorization": f"Bearer {tokens[role]}", "Flnb-Request": "1"}
    case.headers = {name: one for name, one in (case.headers or {}).items() if name not in headers}
    answer = case.call(base_url=served.url, headers=headers, timeout=60)
    case.validate_response(answer, checks=WORDS)


@schema.parametrize()
@BOUNDED
def test_every_endpoint_keeps_its_word(case, served, tokens):
    keeps_its_word(case, served, tokens)


@pytest.mark.long
@schema.parametrize()
@FURTHER
def test_every_endpoint_keeps_its_word_further(case, served, tokens):
    keeps_its_word(case, served, tokens)


def test_every_endpoint_has_an_example_and_says_what_can_go_wrong(described):
    for path, methods in described.raw_schema["paths"].items():
        for method, one in methods.items():
            assert {"401", "404", "422", "429", "503"} <= one["responses"].keys(), (method, path)
            assert one["description"], (method, path)
    shapes = described.raw_schema["components"]["schemas"]
    assert "examples" in str(shapes["Fork"])
    assert "HTTPValidationError" not in shapes
