"""Plug-ins by name, from here and from other packages."""

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from flnb.core import registry
from flnb.core.errors import NotFoundError


@pytest.fixture
def colours(monkeypatch):
    published = [EntryPoint(name="pi", value="math:pi", group="test.colours")]
    monkeypatch.setattr(
        registry, "entry_points", lambda **wanted: EntryPoints(published).select(**wanted)
    )
    chosen = registry.Registry[float]("colour", "test.colours", "json")
    chosen.register("red")(1.0)
    return chosen


def test_a_registered_name_is_found(colours):
    assert colours.find("red") == 1.0


def test_a_plug_in_of_another_package_is_loaded_when_asked_for(colours):
    assert colours.find("pi") == pytest.approx(3.14159, abs=1e-5)


def test_all_names_are_listed_without_loading(colours):
    assert colours.names() == ["pi", "red"]


def test_an_unknown_name_offers_the_nearest(colours):
    with pytest.raises(NotFoundError, match="no colour 'rad'") as caught:
        colours.find("rad")
    assert caught.value.hint == "did you mean 'red'?"


def test_register_returns_what_it_decorates(colours):
    @colours.register("shade")
    def shade():
        return 0.5

    assert shade() == 0.5
    assert colours.find("shade") is shade
