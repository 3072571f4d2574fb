"""The doors over HTTP: cookies, tickets, names of the server, where people go afterwards."""

import logging

import pytest

from flnb.core.errors import AccessRefusedError, PlanError
from flnb.dashboards.access import Doorman, Person
from flnb.dashboards.components import states
from flnb.dashboards.serving import Settings, prepare
from tests.dashboards.doorway import opened

VERA = Person("vera", "viewer", "good")


def know(token):
    if token != "good":
        raise AccessRefusedError("it is <no> good")
    return VERA


@pytest.fixture(scope="module")
def doors():
    with opened(Doorman(know, lambda: VERA)) as client:
        yield client


@pytest.fixture(autouse=True)
def _nobody_is_in(doors):
    doors.cookies.clear()


def test_a_token_in_the_form_signs_in_and_out(doors):
    answer = doors.post("/sign-in", data={"token": "good", "next": "/rounds?run=a"})
    assert (answer.status_code, answer.headers["location"]) == (302, "/rounds?run=a")
    assert doors.get("/").text == "vera"
    assert doors.post("/sign-out").headers["location"] == "/sign-in"
    assert doors.get("/").text == "None"


def test_who_signed_out_is_not_told_that_a_token_is_to_blame():
    assert "You signed out in this browser," in states.signed_out()


def test_a_link_from_elsewhere_or_a_form_of_another_site_signs_nobody_out(doors):
    doors.post("/sign-in", data={"token": "good"})
    assert '<form method="post" action="/sign-out">' in doors.get("/sign-out").text
    answer = doors.post("/sign-out", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert doors.get("/").text == "vera"


def test_the_cookie_is_kept_from_scripts_and_other_sites(doors):
    answer = doors.post("/sign-in", data={"token": "good"})
    said = answer.headers["set-cookie"]
    assert "HttpOnly" in said
    assert "SameSite=Lax" in said
    assert said.startswith(doors.gate.cookie)


def test_a_ticket_in_the_link_signs_in_once(doors):
    link = f"/sign-in?ticket={doors.gate.doorman.ticket()}"
    assert doors.get(link).status_code == 302
    assert doors.get("/").text == "vera"
    again = doors.get(link)
    assert (again.status_code, "used already" in again.text) == (403, True)


def test_a_wrong_token_is_refused_in_words_that_cannot_act(doors):
    answer = doors.post("/sign-in", data={"token": "bad"})
    assert answer.status_code == 403
    assert "it is &lt;no&gt; good" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "after",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "//["],
)
def test_nobody_is_sent_elsewhere_after_signing_in(doors, after):
    answer = doors.post("/sign-in", data={"token": "good", "next": after})
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize("after", ["%ff", "//["])
def test_an_address_to_go_on_to_that_is_none_breaks_no_page(doors, after):
    assert doors.get(f"/sign-in?next={after}").status_code == 200
    answer = doors.post(f"/sign-in?next={after}", data={"token": "good"})
    assert (answer.status_code, answer.headers["location"]) == (302, "/")


def test_a_form_of_another_site_is_refused(doors):
    answer = doors.post(
        "/sign-in", data={"token": "good"}, headers={"Origin": "https://evil.example"}
    )
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


def test_a_server_called_by_another_name_answers_nobody(doors):
    doors.post("/sign-in", data={"token": "good"})
    assert doors.get("/sign-in", headers={"Host": "rebound.example"}).status_code == 403
    assert doors.get("/", headers={"Host": "rebound.example"}).text == "None"


def test_beyond_loopback_pages_need_an_address_with_tls():
    with pytest.raises(PlanError, match="others can hear"):
        Settings(host="0.0.0.0")
    with pytest.raises(PlanError):
        Settings(host="10.0.0.5", origin="http://flnb.example")
    assert Settings("0.0.0.0", origin="https://flnb.example").hosts(1) == ["flnb.example"]


def test_that_somebody_closed_a_page_is_no_line_in_the_log(caplog):
    prepare()
    with caplog.at_level(logging.WARNING):
        for name in ("bokeh.server.views.ws", "panel.io.document"):
            logging.getLogger(name).warning("Failed sending message as connection was closed")
            logging.getLogger(name).warning("something else")
    assert [record.getMessage() for record in caplog.records] == ["something else"] * 2
