"""Somebody signs in by an OAuth provider and works, in a browser."""

import pytest

import flnb
from tests.ui.identity import SECRET, settings
from tests.ui.places import Process, Ui
from tests.ui.test_looks import violations

pytestmark = [pytest.mark.ui, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def by_oauth(past, tmp_path_factory):
    """Pages of a lab that people sign in to by a provider, as `flnb ui --people` opens them."""
    folder = tmp_path_factory.mktemp("oauth")
    people = folder / "people.yaml"
    people.write_text("ada@example.org: operator\n")
    with (
        Process("tests.ui.identity", log=folder / "identity.log") as identity,
        pytest.MonkeyPatch.context() as patched,
    ):
        for name, value in settings(identity.said.strip()).items():
            patched.setenv(name, value)
        with Ui(past.lab, "--people", people, log=folder / "pages.log") as pages:
            yield pages


def test_somebody_signs_in_by_a_provider_and_is_who_it_says(browser, past, by_oauth):
    page = browser.new_page()
    page.goto(f"{by_oauth.address}rounds?run=finished")
    assert violations(page) == []
    page.get_by_role("link", name="Sign in with your account").click()
    page.get_by_role("link", name="I am ada").click()
    page.get_by_text("operator: ada@example.org").wait_for()
    page.locator(".kpi dd", has_text="of 12").first.wait_for()
    page.get_by_text("round complete").first.wait_for()  # the socket is open, and was let in
    assert page.url.startswith(f"{by_oauth.address}rounds?run=finished")
    kept = [one["value"] for one in page.context.cookies() if one["domain"] == "localhost"]
    assert not [one for one in kept if "access-" in one or "refresh-" in one]
    lab = flnb.open(past.lab)
    lab.store.state.revoke_tokens("ada@example.org")
    lab.store.close()
    page.get_by_text("You are signed out.").wait_for()
    assert not {word for word in ("code-", "access-", SECRET) if word in by_oauth.log.read_text()}
    page.close()


def test_somebody_whom_the_list_does_not_name_is_told_so(browser, by_oauth):
    page = browser.new_page()
    page.goto(by_oauth.address)
    page.get_by_role("link", name="Sign in with your account").click()
    page.get_by_role("link", name="I am eve").click()
    said = page.get_by_role("alert")
    said.wait_for()
    assert "eve@example.org may not see this lab" in said.inner_text()
    page.close()
