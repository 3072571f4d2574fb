"""What is around a page: the run that an address names stays, however late the first look comes."""

from dataclasses import replace

import pytest

from flnb.dashboards.feed import Feed
from flnb.dashboards.orders import Orders
from flnb.dashboards.pages.rounds import Rounds
from flnb.dashboards.shell import Shell
from flnb.dashboards.standing import Snapshot
from tests.dashboards.test_of_run import OLE, Still

pytestmark = pytest.mark.filterwarnings(  # of panel-material-ui, about its own class
    "ignore:Both 'variant' and 'button_style':PendingDeprecationWarning"
)


@pytest.mark.parametrize(("asked", "offered"), [("finished", "finished"), ("nobody", None)])
def test_the_run_of_an_address_stays_when_runs_are_known_late(target, asked, offered):
    sight = Still(target)
    known, sight.now = sight.now, Snapshot()
    feed = Feed(target)
    feed._sights["operator"] = sight
    shell = Shell(feed, Orders(target), OLE, Rounds)
    shell._make_page()
    shell._page.run = asked
    shell._picker.get_root()  # the browser has it by now
    newer = replace(next(iter(known.views.values())), name="newer")
    sight.now = replace(known, views={"newer": newer, **known.views})
    for _ in range(2):
        shell._offer_runs(shell._page)
    assert shell._page.run == asked
    assert offered is None or shell._picker.value == offered
