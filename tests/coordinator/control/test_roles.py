"""Who may do what: one table, held against the service; what is revoked ends within a second."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

import flnb
from flnb.coordinator.control.service import ControlService
from flnb.coordinator.granting import written_token
from flnb.core.errors import (
    AccessRefusedError,
    FLBaseError,
    NotFoundError,
    PlanError,
    QueryRefusedError,
    TokenExpiredError,
)
from flnb.store import HIDDEN, Request
from flnb.transport import ControlLink, Link, Pass
from flnb.transport.control import METHODS, SERVICE
from flnb.transport.tokens import LADDER, allows
from flnb.transport.v1 import control_pb2 as pb

SERVED = pb.DESCRIPTOR.services_by_name["Control"]


def link_asks(address, token, method, request=None):
    """One call below the connection."""

    async def ask():
        link = ControlLink(address, None, lambda: token)
        try:
            return await link.whole(method, request or METHODS[method].request())
        finally:
            await link.close()

    return asyncio.run(ask())


@pytest.fixture
def finished(coord, plan, task):
    return coord.run(plan, task, name="first").wait(60)


def test_the_table_covers_every_method_and_each_is_answered(coord):
    coord.listen()
    assert SERVED.full_name == SERVICE
    named = {one.name: one.input_type.full_name for one in SERVED.methods}
    assert named == {name: one.request.DESCRIPTOR.full_name for name, one in METHODS.items()}
    service = coord._desk.server._controls
    assert isinstance(service, ControlService)
    assert service._answers.keys() | {"Watch", "Events"} == METHODS.keys()


@pytest.mark.parametrize("role", [*LADDER, "client"])
def test_each_method_asks_for_its_role_and_no_role_may_more(coord, role):
    address = coord.listen()
    token, _ = written_token(coord.lab.store, "somebody", role, timedelta(minutes=5))
    for name, method in METHODS.items():
        if name == "Watch" or allows(role, method.role):
            continue
        with pytest.raises(AccessRefusedError, match=f"needs the role {method.role}") as refused:
            link_asks(address, token, name)
        assert f"--role {method.role}" in refused.value.hint


def test_a_viewer_sees_aggregates_and_no_single_client(person, finished):
    run = person("viewer").attach("first")
    assert run.metrics.arrow().equals(finished.metrics.arrow())
    assert "client" not in run.events.columns
    why = run.round(2).why()
    assert "4 invited · 4 used" in why
    assert "c00" not in why
    with pytest.raises(AccessRefusedError, match="operator"):
        _ = run.round(2).clients
    for table in ("clients", "assignments", "updates"):
        with pytest.raises(QueryRefusedError, match=table):
            person("viewer").sql(f"SELECT * FROM {table}")


def test_a_viewer_is_not_told_where_the_lab_lies(coord, person):
    viewer, operator = person("viewer"), person("operator")
    folder = str(coord.lab.path)
    assert (viewer.standing.folder, operator.standing.folder) == ("", folder)
    assert folder not in viewer._repr_mimebundle_()["text/html"]
    assert repr(viewer) == repr(operator) == repr(coord)


def test_a_viewer_steers_nothing_and_hears_who_can_let_him(person, finished, plan, task):
    viewer = person("viewer")
    run = viewer.attach("first")
    asks = [run.pause, run.stop, run.resume, run.model, lambda: viewer.run(plan, task)]
    for ask in [*asks, lambda: viewer.clients, lambda: viewer.token("x"), lambda: viewer.tokens]:
        with pytest.raises(AccessRefusedError, match="needs the role") as refused:
            ask()
        assert "flnb token NAME --role" in refused.value.hint
        assert refused.value.exit_code == 3


@pytest.mark.parametrize("method", ["Sql", "History", "Diff", "Preview", "Export"])
def test_questions_keep_nobody_from_acting(coord, person, until, method):
    admin, other, asked, go_on = (
        person("admin"),
        person("operator", "dr-kim"),
        [],
        threading.Event(),
    )

    def think(_claims, _request):
        asked.append(1)
        go_on.wait(20)
        return b""

    coord._desk.server._controls._answers[method] = think
    with ThreadPoolExecutor(9) as threads:
        for _ in range(8):
            threads.submit(other._wire.whole, method, METHODS[method].request())
        try:
            until(lambda: len(asked) == 3)  # of four at once: nobody alone has all of them
            assert len(threads.submit(lambda: admin.tokens).result(timeout=5)) == 2
        finally:
            go_on.set()


def test_whoever_hangs_up_has_its_turns_until_what_it_asked_is_worked_out(coord, person, until):
    here, other = person("viewer")._wire, person("viewer", "dr-kim")._wire
    asked, go_on = [], threading.Event()

    def think(claims, _request):
        asked.append(claims.name)
        go_on.wait(20)
        return b""

    service = coord._desk.server._controls
    service._answers["Sql"] = think
    try:
        for number in range(6):
            asking = here.thread.submit(here._link.whole("Sql", pb.SqlRequest()))
            until(lambda n=number: len(asked) + service._turns.n_waiting == min(n + 1, 4))
            asking.cancel()
            until(lambda: service._turns.n_waiting == 0)
        other.thread.submit(other._link.whole("Sql", pb.SqlRequest()))
        until(lambda: asked == ["dr-lee"] * 3 + ["dr-kim"])
    finally:
        go_on.set()
    until(lambda: not service._asked)


def test_a_question_without_an_end_or_a_sensible_limit_is_refused(person, finished):
    viewer = person("viewer")
    endless = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"
    for timeout_s in (0.0, -5.0):
        with pytest.raises(QueryRefusedError, match=r"longer than 0\.1 s"):
            viewer.sql(endless, timeout_s=timeout_s)
    with pytest.raises(QueryRefusedError, match="not a number"):
        viewer.sql("SELECT 1", timeout_s=float("nan"))


def test_words_that_quote_a_client_are_not_for_viewers(coord, person, plan, task):
    coord.simulate(task, workers=0, drop=0.97)
    run = coord.run(plan.replace(need=4), task, name="first")
    with pytest.raises(FLBaseError):
        run.wait(60)
    viewer = person("viewer")
    seen = viewer.attach("first")
    assert seen.view.error == "an operator sees why"
    assert viewer.sql("SELECT error FROM runs").df()["error"][0] == "an operator sees why"
    assert "needs 4" in person("operator").attach("first").view.error


def test_which_clients_a_plan_leaves_out_is_not_for_viewers(coord, person, plan, task):
    run = coord.run(plan.replace(commit_every=1), task, name="first").wait(60)
    run.branch("without", at=2, exclude=["c004", "c002"])
    there = person("viewer")
    seen = there.attach("first/without").plan
    told = there.sql("SELECT plan, plan_hash FROM runs WHERE branch = 'without'").df()
    assert seen.exclude == ("hidden-1", "hidden-2")
    assert (flnb.Plan.from_yaml(told["plan"][0]), told["plan_hash"][0]) == (seen, "")
    assert there.attach("first").plan == run.plan
    assert there.sql("SELECT plan_hash FROM runs WHERE branch = 'main'").df().iat[0, 0]
    assert person("operator").attach("first/without").plan.exclude == ("c002", "c004")


def test_why_a_commit_is_named_or_gone_is_not_for_viewers(coord, person, plan, task):
    weights = coord.run(plan.replace(commit_every=1), task).wait(60).checkpoint(1)
    file = weights.export(coord.lab.path / "start.safetensors")
    run = coord.run(plan.replace(commit_every=1), task, name="first", start=file).wait(60)
    run.alias("good", 2, reason="client-17 poisoned 3")
    request = Request(id="1", actor="dr-kim", reason="client-17 poisoned 3")
    coord.lab.store.state.expire([run.checkpoint(3).key], request)
    seen = person("viewer").attach("first")
    told = f"{seen.history!r} {seen.history.df()} {seen.round(3)._repr_mimebundle_()}"
    told += str(seen.aliases.df().to_dict())
    assert not [word for word in ("client-17", "dr-kim", str(file)) if word in told]
    assert "expired by somebody" in told
    assert max(seen.history.df()["expired"]) == seen.aliases.df()["reason"][0] == HIDDEN
    whole = person("operator").attach("first")
    assert str(file) in repr(whole.history)
    assert "client-17" in f"{max(whole.history.df()['expired'])} {whole.aliases!r}"


def test_an_admin_lets_others_in_and_takes_it_back(person, coord):
    admin = person("admin", "dr-kim")
    grant = admin.token("dr-lee", role="operator", expires="1h")
    assert grant.text not in repr(grant)
    with flnb.connect(grant.text) as other:
        assert other.role == "operator"
        assert admin.revoke_token("dr-lee") == 1
        with pytest.raises(AccessRefusedError, match="revoked"):
            other.runs()
    assert [one.name for one in admin.tokens] == ["dr-lee", "dr-kim"]
    assert "dr-lee  operator  revoked" in repr(admin.tokens)
    assert repr(admin.tokens) == repr(coord.tokens)
    assert admin.invite("hospital-a").text.startswith("flnb1.")
    with pytest.raises(NotFoundError):
        admin.revoke("hospital-b")


@pytest.mark.parametrize("how", ["here", "elsewhere"])
def test_what_is_revoked_ends_within_a_second(coord, person, plan, task, until, interpreters, how):
    coord.run(plan.replace(rounds=5000), task, name="first")
    run = person("viewer").attach("first")
    done = run.source.done()
    if how == "here":
        coord.revoke_token("dr-lee")
    else:
        interpreters.flnb("token", "revoke", "dr-lee", "--lab", coord.lab.path)
    began_s = time.monotonic()
    until(done.done)
    assert time.monotonic() - began_s < 1.0
    with pytest.raises(AccessRefusedError, match="revoked"):
        run.wait(5)
    assert "revoked" in run.view.error


def test_what_expires_ends_too(coord, plan, task, until):
    coord.run(plan.replace(rounds=5000), task, name="first")
    address = coord.listen()
    token, _ = written_token(coord.lab.store, "dr-lee", "viewer", timedelta(seconds=2))
    with flnb.connect(address, token) as there:
        done = there.attach("first").source.done()
        until(done.done, timeout_s=4)
        assert isinstance(done.result(), TokenExpiredError)
        with pytest.raises(TokenExpiredError) as refused:
            there.runs()
    assert "flnb token NAME" in refused.value.hint


def test_tokens_of_another_lab_and_unwritten_ones_are_refused(coord, tmp_path):
    address = coord.listen()
    with flnb.Coordinator(tmp_path / "other") as other:
        stranger = Pass.parse(other.token("dr-lee", role="admin").text)
    forgotten, record = written_token(coord.lab.store, "dr-kim", "admin", timedelta(hours=1))
    coord.lab.store.state.forget_token(record.id)
    for token in (stranger.token, forgotten, "nonsense"):
        with pytest.raises(AccessRefusedError):
            flnb.connect(address, token)


def test_a_person_cannot_act_as_the_client_of_his_name(coord):
    address = coord.listen()
    token, _ = written_token(coord.lab.store, "c000", "admin", timedelta(hours=1))

    async def open_session():
        link = Link(address)
        try:
            async for _ in link.session(token):
                pass
        finally:
            await link.close()

    with pytest.raises(AccessRefusedError, match="needs the role client"):
        asyncio.run(open_session())


def test_only_names_and_roles_of_people_are_given_out(coord):
    with pytest.raises(PlanError, match="no role 'client'"):
        coord.token("dr-lee", role="client")
    with pytest.raises(PlanError, match="a name has letters"):
        coord.token("dr lee")
    with pytest.raises(PlanError, match="not a time"):
        coord.token("dr-lee", expires="soon")
