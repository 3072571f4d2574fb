"""Signing in by an OAuth provider: a real one on loopback, the doors, and a list of people."""

import logging
import re
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from panel.auth import GenericLoginHandler

from flnb.core.errors import AccessRefusedError, PlanError
from flnb.dashboards.access import Doorman, Person
from flnb.dashboards.people import People, verified
from flnb.dashboards.provider import Provider
from tests.dashboards.doorway import opened
from tests.ui.identity import SECRET, settings
from tests.ui.places import Process


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """The address of a provider."""
    with Process("tests.ui.identity", log=tmp_path_factory.mktemp("identity") / "log") as process:
        yield process.said.strip()


@pytest.fixture
def people(tmp_path):
    file = tmp_path / "people.yaml"
    file.write_text("ada@Example.org: operator\n")
    return People(file)


@pytest.fixture
def doors(identity, people, monkeypatch):
    """The doors with a way in; tokens of this lab are `ROLE of NAME`."""
    for name, value in settings(identity).items():
        monkeypatch.setenv(name, value)

    def know(token):
        role, _, name = token.partition(" of ")
        return Person(name, role, token)

    way_in = Provider(people, lambda name, role: f"{role} of {name}")
    with opened(Doorman(know, lambda: know("admin of me")), way_in=way_in) as client:
        yield client


def come_back(doors, identity, who):
    """Go to the provider, be somebody there, and give the address with which one comes back."""
    there = httpx.get(doors.get("/oauth?next=/rounds").headers["Location"]).text
    agree = re.search(rf'href="([^"]*who={who}[^"]*)"', there)[1]
    return httpx.get(identity + agree).headers["Location"]


def test_whom_the_list_names_is_in_with_the_role_that_it_says(doors, identity):
    assert "Sign in with your account" in doors.get("/sign-in?next=/rounds").text
    answer = doors.get(come_back(doors, identity, "ada"))
    assert (answer.status_code, answer.headers["Location"]) == (302, "/rounds")
    assert doors.get("/").text == "ada@example.org"
    assert set(doors.cookies) == {doors.gate.cookie}


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ("eve", "eve@example.org may not see this lab"),
        ("mal", "was verified"),
        ("bot", "no e-mail"),
    ],
)
def test_nobody_else_is(doors, identity, who, why):
    answer = doors.get(come_back(doors, identity, who))
    assert answer.status_code == 403
    assert why in answer.text
    assert doors.get("/").text == "None"


def test_who_is_struck_from_the_list_stays_out(doors, identity, people):
    back = come_back(doors, identity, "ada")
    people.file.write_text("leo@example.org: viewer\n")
    assert doors.get(back).status_code == 403


@pytest.mark.parametrize(
    "text", ["leo@example.org: boss", "leo@example.org admin", "a@b.c: 2021-13-45"]
)
def test_a_list_that_broke_is_told_in_the_log_and_not_to_strangers(
    doors, identity, people, caplog, text
):
    people.file.write_text(text)
    answer = doors.get(come_back(doors, identity, "eve"))
    assert (answer.status_code, "tell whoever looks after" in answer.text) == (500, True)
    assert not [one for one in ("leo@", "boss", str(people.file)) if one in answer.text]
    assert [one for one in caplog.messages if str(people.file) in one]


def test_a_provider_is_asked_for_no_more_than_an_address(doors):
    asked = parse_qs(urlsplit(doors.get("/oauth").headers["Location"]).query)
    assert asked["scope"] == ["openid email"]


def test_a_token_of_the_provider_stays_out_of_addresses(doors, identity, monkeypatch):
    monkeypatch.setattr(GenericLoginHandler, "_access_token_header", None)  # as Okta's
    monkeypatch.setenv("PANEL_OAUTH_USER_URL", f"{identity}/userinfo?access_token=")
    assert doors.get(come_back(doors, identity, "ada")).status_code == 302
    assert doors.get("/").text == "ada@example.org"


def test_an_answer_to_somebody_else_lets_nobody_in(doors, identity):
    back = come_back(doors, identity, "ada")
    doors.cookies.clear()  # the browser of whoever was sent that link
    (code,) = parse_qs(urlsplit(back).query)["code"]
    for link in (back, f"/oauth?code={code}&state=", f"/oauth?code={code}"):
        assert doors.get(link).status_code == 401
    assert doors.get("/").text == "None"


@pytest.mark.parametrize("link", ["?next=%ff", "?next=//[", "?code=%ff", "?state=%ff&code=x"])
def test_no_link_from_elsewhere_signs_anybody_out(doors, identity, link):
    doors.get(come_back(doors, identity, "ada"))
    doors.cookies.set("of-another-server", "x")
    answer = doors.get(f"/oauth{link}")
    assert answer.status_code in {302, 400, 401}
    cleared = [one for one in answer.headers.get_list("set-cookie") if '=""' in one]
    assert not [one for one in cleared if not one.startswith(f"{doors.gate.cookie}-")]
    assert doors.get("/").text == "ada@example.org"


def test_what_lets_somebody_in_stays_out_of_the_log(doors, identity, caplog):
    caplog.set_level(logging.DEBUG)
    back = come_back(doors, identity, "eve")
    doors.get(back)
    used = doors.get(come_back(doors, identity, "ada") + "x")  # another state
    (code,) = parse_qs(urlsplit(back).query)["code"]
    refused = doors.get(f"/oauth?error=access_denied&error_description=<b>{SECRET}")
    assert (used.status_code, refused.status_code) == (401, 401)
    assert "<b>" not in refused.text
    ours = "\n".join(one.getMessage() for one in caplog.records if not one.name.startswith("http"))
    assert not {word for word in (code, SECRET, "access-", "refresh-") if word in ours}


@pytest.mark.parametrize(
    "link", ["error=x%0AFORGED", "next=error%3Dx%250AFORGED", "code=x&state=a%0AFORGED"]
)
def test_a_link_from_elsewhere_writes_no_line_into_the_log_nor_onto_the_page(doors, caplog, link):
    answer = doors.get(f"/oauth?{link}&error_description=FORGED")
    assert (answer.status_code, "FORGED" in answer.text) == (401, False)
    assert not [one for one in caplog.messages if "\n" in one]


@pytest.mark.parametrize("kind", ["generic", "auth_code"])
def test_a_refusal_is_said_and_not_asked_for_again(doors, monkeypatch, kind):
    monkeypatch.setenv("PANEL_OAUTH_PROVIDER", kind)
    with opened(doors.gate.doorman, way_in=doors.gate.way_in) as others:
        answer = others.get("/oauth?error=access_denied&state=x")
    assert (answer.status_code, "you in: access_denied" in answer.text) == (401, True)


def test_with_pkce_only_the_browser_that_asked_is_in_and_keeps_its_word_to_itself(
    doors, identity, monkeypatch
):
    monkeypatch.setenv("PANEL_OAUTH_PROVIDER", "auth_code")
    with opened(doors.gate.doorman, way_in=doors.gate.way_in) as others:
        back = come_back(others, identity, "ada")
        asked = others.get("/oauth").headers.get_list("set-cookie")
        assert [one.partition("=")[0] for one in asked] == others.gate.cookies[1:]
        assert all(
            "HttpOnly" in one and "SameSite=Lax" in one and "expires" not in one for one in asked
        )
        assert others.get(back).status_code == 400  # the other word is asked for meanwhile
        assert others.get(come_back(others, identity, "ada")).status_code == 302
        assert (others.get("/").text, set(others.cookies)) == (
            "ada@example.org",
            {others.gate.cookie},
        )


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("PANEL_OAUTH_SECRET", "another", ": 400 invalid_grant"),
        ("PANEL_OAUTH_USER_URL", "", ": no id_token"),
    ],
)
def test_the_log_says_what_is_wrong_with_an_answer(
    doors, identity, monkeypatch, caplog, name, value, why
):
    monkeypatch.setenv(name, value)
    assert doors.get(come_back(doors, identity, "ada")).status_code == 502
    assert [one for one in caplog.messages if one.endswith(why)]
    assert SECRET not in caplog.text


def test_a_provider_that_does_not_answer_is_said(doors, identity, monkeypatch):
    back = come_back(doors, identity, "ada")
    monkeypatch.setenv("PANEL_OAUTH_TOKEN_URL", "http://localhost:1/token")
    answer = doors.get(back)
    assert (answer.status_code, "try again" in answer.text) == (502, True)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("PANEL_OAUTH_PROVIDER", "gogle", "did you mean 'google'"),
        ("PANEL_OAUTH_PROVIDER", "password", "there is: auth0"),
        ("PANEL_OAUTH_PROVIDER", "github", "signs nobody in"),
        ("PANEL_OAUTH_PROVIDER", "azure", "signs nobody in"),
        ("PANEL_OAUTH_SECRET", "", "PANEL_OAUTH_SECRET"),
        ("PANEL_OAUTH_PROVIDER", "auth0", "auth0 is not told whose people.*\n.*'subdomain'"),
        ("PANEL_OAUTH_PROVIDER", "okta", "okta is not told whose people.*\n.*'url'"),
        ("PANEL_OAUTH_TOKEN_URL", "http://id.example.org/token", "others could hear"),
        ("PANEL_OAUTH_TOKEN_URL", "", "PANEL_OAUTH_TOKEN_URL is not set"),
        ("PANEL_OAUTH_EXTRA_PARAMS", "{'USER_URL': 'http://id.example.org'}", "^USER_URL in .* others could hear"),
        *(("PANEL_OAUTH_EXTRA_PARAMS", bad, "EXTRA_PARAMS is no dict") for bad in ("", "subdomain=lab", "['a']", "{1: 'a'}")),
    ],
)  # fmt: skip
def test_settings_that_are_not_whole_are_said_at_once(people, monkeypatch, name, value, why):
    for one, right in settings("https://id.example.org").items():
        monkeypatch.setenv(one, right)
    monkeypatch.setenv(name, value)
    with pytest.raises(PlanError, match=why):
        Provider(people, lambda name, role: "")


def test_who_says_whose_people_he_asks_may_ask_auth0(people, monkeypatch):
    for one, right in (settings("") | {"PANEL_OAUTH_PROVIDER": "auth0"}).items():
        monkeypatch.setenv(one, right)
    monkeypatch.setenv("PANEL_OAUTH_EXTRA_PARAMS", "{'subdomain': 'lab'}")
    assert Provider(people, lambda name, role: "").name == "auth0"


@pytest.mark.parametrize(
    ("text", "why"),
    [("ada: viewer", "no e-mail address"), ("a@b.c: boss", "no role 'boss'"), ("- a@b.c", "no addresses"), ("{", "cannot be read"),
     ("", "no addresses"), ("a@b.c: admin\na@b.c: viewer", "is twice in"), ("A@b.c: admin\n' a@b.c': viewer", "is twice in")],
)  # fmt: skip
def test_a_list_that_is_no_list_is_said(people, text, why):
    people.file.write_text(text)
    with pytest.raises(PlanError, match=why):
        people.roles()


def test_capital_letters_are_no_other_person_but_look_alikes_are(people):
    assert people.role("ADA@example.org") == "operator"
    people.file.write_text("kim@example.org: admin\n")
    with pytest.raises(AccessRefusedError):
        people.role(verified({"email": "\u212aim@example.org", "email_verified": True}))
