"""Every endpoint keeps what the OpenAPI says of it, whatever it is called with; and never fails.

What is read is read by an admin. What would change something is called by a viewer, who may not: the
lab stays as it is, and what he is answered is checked, too.
"""

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.service.conftest import token_in

WORDS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]


def bounds(examples, *, derandomize):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=derandomize,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def described(served):
    return schemathesis.openapi.from_dict(
        httpx.get(f"{served.url}/openapi.json", timeout=30).json()
    )


@pytest.fixture(scope="module")
def keep_their_word(served, described):
    """Calls every endpoint so many times; gives what each was answered."""
    tokens = {role: token_in(served.lab, f"c-{role}", role) for role in ("viewer", "admin")}
    answers = {}

    def call(case):
        role = "admin" if case.method == "GET" or case.path == "/api/sql" else "viewer"
        headers = {"Authorization": f"Bearer {tokens[role]}", "Flnb-Request": "1"}
        answer = case.call(base_url=served.url, headers=headers, timeout=60)
        case.validate_response(answer, checks=WORDS)
        answers.setdefault((case.method, case.path), set()).add(answer.status_code)

    def call_all(bounded):
        for found in described.get_all_operations():

            @bounded
            @given(case=found.ok().as_strategy())
            def call_one(case):
                call(case)

            call_one()
        return answers

    return call_all


def test_every_endpoint_keeps_its_word(keep_their_word, described):
    answers = keep_their_word(bounds(8, derandomize=True))
    paths = described.raw_schema["paths"].items()
    assert answers.keys() == {(method.upper(), path) for path, all_ in paths for method in all_}
    assert {200, 403, 404, 422} <= set.union(*answers.values())


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_endpoint_keeps_its_word_however_long_one_looks(keep_their_word):
    keep_their_word(bounds(100, derandomize=False))


def test_every_endpoint_says_what_can_go_wrong_and_shows_examples(described):
    for path, methods in described.raw_schema["paths"].items():
        for method, one in methods.items():
            assert {"401", "404", "422", "429", "503"} <= one["responses"].keys(), (method, path)
            assert one["description"], (method, path)
    shapes = described.raw_schema["components"]["schemas"]
    assert "examples" in str(shapes["Fork"])
    assert "HTTPValidationError" not in shapes
