"""The pages of the Python interface: which names stand on which page; what they say is their docstrings'."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from docs.made.markdown import page

PAGES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "labs": (
        "Labs, coordinators and runs",
        "What a notebook holds.",
        (
            "flnb:open",
            "flnb:connect",
            "flnb:quickstart",
            "flnb:compare",
            "flnb:Lab",
            "flnb:Coordinator",
            "flnb:Run",
            "flnb.coordinator:RoundDetails",
            "flnb.coordinator:ClientList",
            "flnb.coordinator:ClientRow",
            "flnb.coordinator:RunList",
            "flnb.coordinator:Invitation",
            "flnb.coordinator:Grant",
            "flnb.coordinator:Population",
            "flnb.coordinator:Simulation",
            "flnb.core:RunView",
            "flnb.core:RoundRow",
            "flnb.core:Status",
            "flnb.store:Table",
        ),
    ),
    "history": (
        "History",
        "Checkpoints, branches, previews and graphs, as [History](../../history.md) tells of them.",
        (
            "flnb.coordinator.history.checkpoint:Checkpoint",
            "flnb.coordinator.history.preview:Preview",
            "flnb.coordinator.history.timeline:Timeline",
            "flnb.coordinator.history.comparing:Comparison",
        ),
    ),
    "plans": (
        "Plans",
        "How rounds go. All settings with their types and defaults: [Settings](../settings.md).",
        ("flnb:Plan", "flnb:Local", "flnb:Evaluation", "flnb:Guard"),
    ),
    "tasks": (
        "Tasks, data and splits",
        "What is learned, from what, by whom.",
        (
            "flnb:Task",
            "flnb.tasks:digits",
            "flnb.tasks:mnist",
            "flnb.tasks:shakespeare",
            "flnb.tasks:heart",
            "flnb.tasks:importable",
            "flnb.tasks:load",
            "flnb.tasks:resolve",
            "flnb.tasks:Fingerprint",
            "flnb.tasks:TaskRef",
            "flnb:IID",
            "flnb:Dirichlet",
            "flnb:Shards",
            "flnb:LabelQuantity",
            "flnb:LogNormalSizes",
            "flnb:PowerLawSizes",
            "flnb:NaturalId",
            "flnb.datasets:Split",
            "flnb.datasets:SplitPicture",
            "flnb.datasets:FederatedData",
            "flnb.datasets:Arrays",
            "flnb.datasets:Partitioner",
            "flnb.datasets:SimulatedClients",
        ),
    ),
    "strategies": (
        "Strategies",
        "Named algorithms, each with its paper and with what differs from it.",
        (
            "flnb:FedAvg",
            "flnb:FedAvgM",
            "flnb:FedSGD",
            "flnb:FedProx",
            "flnb:FedAdagrad",
            "flnb:FedAdam",
            "flnb:FedYogi",
            "flnb.strategies:Averaging",
            "flnb.strategies:Strategy",
            "flnb.core:StrategyConfig",
        ),
    ),
    "studies": (
        "Studies",
        "A notebook as recipe, many cells in one lab.",
        (
            "flnb:params",
            "flnb.experiments:Study",
            "flnb.experiments:StudyFile",
            "flnb.experiments:Grid",
            "flnb.experiments:Listed",
            "flnb.experiments:Random",
            "flnb.experiments:Between",
            "flnb.experiments:Optuna",
            "flnb.experiments:Recipe",
        ),
    ),
    "clients": (
        "Clients in other places",
        "The other end of [an invitation](../../remote-clients.md).",
        ("flnb:Client", "flnb.client:ClientEvent", "flnb.client:rotate_key"),
    ),
    "errors": (
        "Errors in Python",
        "All of them in a table, with exit codes: [Errors](../errors.md).",
        ("flnb:FLBaseError",),
    ),
}
"""Page, its title, what it is about, and the names on it; classes come with their methods."""
_OPTIONS = (
    "   :members:",
    "   :inherited-members: BaseModel, Exception, BaseException",
    "   :exclude-members: model_config",
)


def found(place: str) -> Any:
    """The object that a place such as `flnb.tasks:digits` names."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def offered(module: str) -> list[str]:
    """The names that a module says it offers."""
    return list(importlib.import_module(module).__all__)


def places() -> Iterator[str]:
    """Every name that stands on a page."""
    for _, _, named in PAGES.values():
        yield from named


def written(name: str) -> str:
    """Write one of the pages."""
    title, about, named = PAGES[name]
    return page(title, about, *(_entry(place) for place in named))


def _entry(place: str) -> str:
    thing = found(place)
    lines = [f".. autofunction:: {place.replace(':', '.')}"]
    if inspect.isclass(thing):
        lines = [f".. autoclass:: {place.replace(':', '.')}", *_OPTIONS]
    if place.startswith("flnb:Fed"):
        lines += ["", *(f"   {line}" for line in _paper(thing).splitlines())]
    body = "\n".join(lines)
    return f"```{{eval-rst}}\n{body}\n```"


def _paper(thing: Any) -> str:
    """What the file of an algorithm says on top: the paper, and what differs from it."""
    module = importlib.import_module(thing.__module__)
    return inspect.cleandoc(module.__doc__ or "")
