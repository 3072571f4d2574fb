"""Studies in a shared lab: kernels find its database, notebooks lie beside the history, a lease says who executes."""

import nbformat
import pytest

import flnb
from flnb.core.errors import StudyHeldError
from flnb.experiments.holding import Holding, runner_of
from flnb.store import Holder, Outcome
from flnb.store.place import HistoryPlace
from tests.experiments.recipes import write_recipe

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(240)]

OPENS = "import flnb\nP = flnb.params()\nprint(flnb.open(P.lab).id)"


@pytest.fixture
def lab(address, state_url, monkeypatch):
    monkeypatch.setenv("FLNB_PROGRESS", "off")
    lab = flnb.open(address, state=state_url)
    yield lab
    lab.store.close()


@pytest.mark.parametrize("place", [pytest.param("folder", marks=pytest.mark.long), "s3"])
def test_a_kernel_opens_the_same_lab_and_its_notebook_is_where_all_find_it(lab, place, tmp_path):
    recipe = write_recipe(tmp_path / "r.ipynb", OPENS)
    study = lab.study("shared", recipe, {"alpha": [0.1]}).run()
    (cell,) = study.cells
    assert cell.outcome is Outcome.FINISHED, cell.why
    notebook = nbformat.read(lab.path / cell.notebook, as_version=4)
    assert notebook.cells[-2].outputs[-1].text.strip() == lab.id
    there = lab.store.place.below(cell.page)
    assert is_there(there)


def is_there(place: HistoryPlace) -> bool:
    if place.folder is not None:
        return place.folder.is_file()
    import s3fs

    bucket = s3fs.S3FileSystem(skip_instance_cache=True)
    return bucket.exists(f"{place.bucket}/{place.prefix}")


@pytest.mark.parametrize("place", ["folder"])
def test_a_runner_on_another_machine_is_named_and_its_lease_is_waited_for(lab, place, tmp_path):
    study = lab.study("shared", write_recipe(tmp_path / "r.ipynb"), {"alpha": [0.1]})
    study._introduce(study.check().recipe)
    other = Holder("a runner", 4711, "elsewhere", lab.store.clock.now(), "other")
    lab.store.state.begin_running("shared", other, 60.0)
    with pytest.raises(StudyHeldError, match="process 4711 on elsewhere"):
        study.run()
    assert str(runner_of(lab.store, "shared")) == "a runner (process 4711 on elsewhere)"
    lab.store.state.end_running("shared", "other")
    with Holding(lab.store, "shared") as holding:
        lab.store.state.end_running("shared", holding._lease.holder.word)
        holding._renew_at_s = 0.0
        with pytest.raises(StudyHeldError):
            holding.keep()
