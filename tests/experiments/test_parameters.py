"""A parameters cell is read as source: nothing is executed, and everything is checked."""

import pytest

from flnb.core.errors import RecipeError
from flnb.experiments.parameters import Parameters

SOURCE = '''"""What this recipe can be given."""
from typing import Annotated, Literal
alpha: Annotated[float, Field(gt=0)] = 0.3
strategy: Literal["fedavg", "fedadam"] = "fedavg"
layers: tuple[int, ...] = (32, 16)
limit: float | None = None
rounds = 20
data: Path = "heart"
'''


@pytest.fixture
def parameters():
    return Parameters.of(SOURCE, "cell 1 of recipe.ipynb")


def test_names_types_and_defaults_are_read_from_the_source(parameters):
    assert list(parameters.defaults) == ["alpha", "strategy", "layers", "limit", "rounds", "data"]
    assert parameters.files == ("data",)
    values = parameters.values({"alpha": 1, "layers": [3]})
    assert (values.alpha, values.layers, values.rounds) == (1.0, (3,), 20)


def test_an_unknown_name_is_refused_with_cell_name_value_and_the_nearest(parameters):
    with pytest.raises(RecipeError) as caught:
        parameters.check({"alpa": 0.1})
    said = str(caught.value)
    assert "cell 1 of recipe.ipynb" in said
    assert "alpa = 0.1" in said
    assert "did you mean 'alpha'?" in said


@pytest.mark.parametrize(
    "given",
    [
        {"alpha": "0.3"},
        {"alpha": -1},
        {"strategy": "fedavgm"},
        {"rounds": 2.5},
        {"rounds": True},
        {"layers": ["a"]},
        {"limit": float("nan")},
    ],
)
def test_a_value_of_another_type_is_refused(parameters, given):
    with pytest.raises(RecipeError, match="cell 1 of recipe"):
        parameters.check(given)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = os.environ['A']", "computed"),
        ("def f(): pass", "no parameter with a default"),
        ("x: int", "no parameter with a default"),
        ("_x = 1", "no parameter with a default"),
        ("x: Model = 1", "type of 'x' is not known"),
        ("x: int = 'a'", "valid integer"),
        ("x = (", "not Python"),
        ("import os", "declares nothing"),
    ],
)
def test_a_cell_that_does_more_than_declare_is_refused(source, said):
    with pytest.raises(RecipeError, match=said):
        Parameters.of(source, "cell 1")


def test_nothing_of_the_cell_is_executed(tmp_path):
    trap = tmp_path / "executed"
    source = f"x: Annotated[int, open({str(trap)!r}, 'w')] = 1"
    with pytest.raises(RecipeError, match="not known"):
        Parameters.of(source, "cell 1")
    assert not trap.exists()


def test_a_parameter_may_be_called_as_something_of_the_model_is():
    values = Parameters.of("copy = 1\njson = 'x'", "cell 1").values({})
    assert (values.copy, values.json) == (1, "x")


def test_without_a_study_the_lab_is_beside_the_notebook(parameters, monkeypatch):
    monkeypatch.delenv("FLNB_STUDY_LAB", raising=False)
    assert parameters.values({}).lab == "./lab"
    monkeypatch.setenv("FLNB_STUDY_LAB", "s3://bucket/lab")
    assert parameters.values({}).lab == "s3://bucket/lab"


@pytest.mark.parametrize(
    "kind", ["Path", "Path | None", "Optional[Path]", 'Annotated[Path, "data"]']
)
def test_a_path_belongs_to_what_a_cell_is_known_by_however_its_type_is_written(kind):
    found = Parameters.of(f'data: {kind} = "heart"\nalpha: float = 0.3', "cell 1")
    assert found.files == ("data",)
