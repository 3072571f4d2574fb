import pytest

from flnb.core.errors import TaskError
from flnb.tasks import digits, heart, mnist, shakespeare


@pytest.mark.parametrize(("model", "parameters"), [("softmax", 650), ("mlp", 4810)])
def test_digits_are_always_there(model, parameters):
    task = digits(model, clients=7)
    assert task.layout.n_parameters == parameters
    assert len(task.clients) == 7
    x, y = task.client_tensors("c003")
    assert task.build()(x).shape == (len(y), 10)


def test_a_model_that_there_is_not_gets_its_nearest_name():
    with pytest.raises(TaskError, match="softmax"):
        digits("softmaks")


@pytest.mark.data
@pytest.mark.parametrize(
    ("model", "parameters"), [("softmax", 7_850), ("2nn", 199_210), ("cnn", 1_663_370)]
)
def test_models_for_mnist_have_the_size_of_the_paper(model, parameters):
    task = mnist(model)
    assert task.layout.n_parameters == parameters
    x, _ = task.test_tensors(range(2))
    assert task.build()(x).shape == (2, 10)


@pytest.mark.data
def test_roles_of_shakespeare_are_clients_of_a_character_model():
    task = shakespeare(stride=80)
    x, _ = task.test_tensors(range(2))
    assert len(task.clients) > 1000
    assert task.build()(x).shape == (2, len(task.data.labels))


@pytest.mark.data
def test_four_hospitals_are_clients():
    task = heart()
    assert len(task.clients) == 4
    assert task.layout.n_parameters == 28
