"""Reports as a browser without a network opens them: quiet, accessible, on a phone, in the dark, on paper."""

import pytest

from benchmarks.study_frames import ALPHAS, STRATEGIES, study
from flnb.experiments.report.of_study import markup
from flnb.experiments.report.page import save
from tests.ui.test_looks import violations

pytestmark = [pytest.mark.ui, pytest.mark.timeout(300)]
ODD = "<script>alert(1)</script> " + "n" * 200
FACTS = {
    "one": lambda: study(ALPHAS[:1], STRATEGIES[:1], seeds=1),
    "twelve": lambda: study(name=ODD, outcomes={0: "running", 1: "failed", 5: "waiting"}),
    "hundred": lambda: study(ALPHAS, STRATEGIES, seeds=5),
}


@pytest.fixture(scope="module")
def places(past, tmp_path_factory):
    """Reports by name: of studies, and of a run."""
    import flnb

    folder, lab = tmp_path_factory.mktemp("reports"), flnb.open(past.lab)
    run = lab.run("finished").report(folder / "run.html")
    made = {name: save(markup(make()), folder / f"{name}.html") for name, make in FACTS.items()}
    lab.store.close()
    return {**made, "run": run}


@pytest.fixture
def opened(browser, places):
    """Open a report where there is no network; it collects what is asked for and complained of."""
    contexts = []

    def open_report(name, **options):
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.asked, page.complaints = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(places[name].as_uri())
        return page

    yield open_report
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", [*FACTS, "run"])
def test_a_report_asks_nobody_and_scrolls_nowhere_sideways(opened, places, name):
    page = opened(name)
    for width in (390, 768, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
    assert page.asked == [places[name].as_uri()]
    assert page.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["twelve", "run"])
def test_a_report_follows_the_system_and_is_accessible(opened, name, scheme):
    page = opened(name, color_scheme=scheme, bypass_csp=True)  # axe is a script
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") is (scheme == "light")
    assert violations(page) == []


@pytest.mark.parametrize("name", ["hundred", "run"])
def test_paper_is_white_and_cuts_no_table_off(opened, name):
    page = opened(name, color_scheme="dark", viewport={"width": 688, "height": 1000})
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"  # fmt: skip
    wide = "[...document.querySelectorAll('table')].map(one => one.getBoundingClientRect().right)"
    assert max(page.evaluate(wide)) <= 688  # A4 without its margins
