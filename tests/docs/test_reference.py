"""What there is stands on the made pages, with words."""

from inspect import isclass, isfunction

import pytest

from docs.made import commands, endpoints, errors, names, reference, settings, tables
from flnb.core.errors import FLBaseError


@pytest.fixture(scope="module")
def pages():
    return {name: make() for name, make in reference.PAGES.items()}


def commands_that_can_be_typed():
    return [
        (name, command) for name, command in commands.commands() if not hasattr(command, "commands")
    ]


def test_every_command_is_documented_with_words(pages):
    found = commands_that_can_be_typed()
    assert {"flnb run", "flnb run branch", "flnb ckpt expire"} <= {name for name, _ in found}
    assert [name for name, _ in found if f"## `{name}`\n" not in pages["commands.md"]] == []
    assert [name for name, command in found if not command.help] == []


def test_every_argument_and_option_is_documented_with_words(pages):
    for name, command in commands.commands():
        shown = [one for one in command.params if "--help" not in one.opts]
        assert [one.name for one in shown if not one.help] == [], name
        rows = pages["commands.md"].partition(f"## `{name}`\n")[2].partition("\n## ")[0]
        spelled = [commands.spelling(one).replace("|", "\\|") for one in shown]
        assert [word for word in spelled if f"| `{word}` |" not in rows] == [], name


def test_every_setting_is_documented_with_words(pages):
    for models in settings.groups().values():
        for model in models:
            section = pages["settings.md"].partition(f"### `{model.__name__}`\n")[2]
            rows = section.partition("\n##")[0]
            found = list(settings.settings(model))
            assert [name for name, _, meaning in found if not meaning] == [], model.__name__
            assert [name for name, *_ in found if f"| `{name}` |" not in rows] == []


def test_every_table_and_column_is_documented(pages):
    for spec in tables.TABLES:
        rows = pages["tables.md"].partition(f"## `{spec.name}`\n")[2].partition("\n## ")[0]
        absent = [
            one.name for one in spec.columns if f"| `{one.name}` | {one.sql_type}" not in rows
        ]
        assert absent == [], spec.name


def all_errors(root):
    return {root}.union(*(all_errors(child) for child in root.__subclasses__()))


def test_every_error_is_documented_with_its_codes(pages):
    real = {one for one in all_errors(FLBaseError) if one.__module__ == FLBaseError.__module__}
    assert set(errors.classes()) == real
    for error in real:
        row = f"| `{error.__name__}` |"
        line = next(one for one in pages["errors.md"].splitlines() if one.startswith(row))
        assert f"| {error.exit_code} | {error.http_status} |" in line


def test_every_endpoint_is_documented_with_words(pages):
    told = endpoints.described()
    for method, path, one in endpoints.endpoints(told):
        assert f"### `{method} {path}`\n" in pages["endpoints.md"]
        assert one.get("description"), path
        silent = [each["name"] for each in one.get("parameters", []) if not each.get("description")]
        assert silent == [], path


def test_every_public_name_stands_on_a_page_of_the_python_interface():
    placed = {names.found(place) for place in names.places()}
    absent = []
    for module in ("flnb", "flnb.client", "flnb.experiments", "flnb.strategies", "flnb.tasks"):
        found = [names.found(f"{module}:{name}") for name in names.offered(module)]
        absent += [one for one in found if (isclass(one) or isfunction(one)) and one not in placed]
    assert absent == []


def test_every_error_of_the_interface_has_a_docstring_for_its_page():
    silent = [place for place in names.places() if not names.found(place).__doc__]
    assert silent == []
