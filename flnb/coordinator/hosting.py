"""The part of a coordinator that keeps populations: one for each task and way of simulating it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from flnb.coordinator.guesting import Guesting
from flnb.coordinator.inviting import Inviting
from flnb.coordinator.population import Population, Simulation
from flnb.coordinator.quarantine import Quarantining, Resting
from flnb.core.errors import PlanError, RoundStateError
from flnb.core.ids import ClientId, RunId

if TYPE_CHECKING:
    from flnb.coordinator.drive import Drive
    from flnb.store import RunRecord
    from flnb.tasks import Task


class Hosting(Guesting, Inviting, Quarantining):
    """Populations of a coordinator; `Coordinator` inherits it."""

    def __init__(self) -> None:
        super().__init__()
        self._populations: list[Population] = []
        self._resting = Resting()
        self._drives: dict[RunId, Drive] = {}
        self.gate = threading.RLock()
        """Held while runs and populations come and go: cells and other processes may ask at once."""

    def simulate(
        self,
        task: Task,
        clients: int | None = None,
        *,
        slow: float | str | None = None,
        drop: float = 0.0,
        workers: int | None = None,
    ) -> Population:
        """Let clients live here, one for each part of the task's split.

        Args:
            task: What they learn.
            clients: The first so many of the split; None is all of them.
            slow: Simulated seconds a client takes: a number, `"lognormal"`, `"lognormal:0.8"`.
            drop: Probability with which a client drops out of a round.
            workers: Processes that share the work; None is one a core, 0 trains in this process
                (for debugging: prints and breakpoints work, but your cells share torch's global
                random state with it).

        Returns:
            The clients; those that are there already if nothing differs.

        Raises:
            PlanError: The split has fewer clients.
            RoundStateError: A run trains with such clients of other settings.
        """
        return self._populate(task, Simulation(clients, slow, drop, workers))

    def _populate(
        self, task: Task, simulation: Simulation, *, any_workers: bool = False
    ) -> Population:
        """Find such a population, or make it in the place of one that differs and is idle."""
        self._thread()
        fingerprint = task.fingerprint()
        with self.gate:
            for known in tuple(self._populations):
                if known.task.fingerprint() != fingerprint:
                    continue
                if known.simulation.suits(simulation, any_workers=any_workers):
                    return known
                self._retire(known)
            if simulation.clients == 0:
                self.listen()
            population = Population(task, simulation, self._resting)
            self._populations.append(population)
            self._take_in_remote(population)
        return population

    def task_of(self, record: RunRecord) -> Task | None:
        """The task with which a run was started, if clients here learn it."""
        found = (one.task for one in tuple(self._populations))
        return next((t for t in found if asdict(t.fingerprint()) == record.fingerprint), None)

    def _simulated(self) -> Mapping[str, int]:
        populations = tuple(self._populations)
        return {one.task.name: one.n_simulated for one in populations if one.n_simulated}

    def _simulates(self, client: ClientId) -> bool:
        populations = tuple(self._populations)
        return bool(populations) and all(one.simulates(client) for one in populations)

    def _listening(self) -> None:
        with self.gate:
            for population in self._populations:
                self._take_in_remote(population)

    def _take_in_remote(self, population: Population) -> None:
        """Let remote clients of the same layout take part, if any can join."""
        if self._desk is not None:
            front, layout = self._desk.front, population.task.layout

            async def welcome() -> None:
                await population.welcome(front.clients_of(layout.hash))

            self._thread().submit(welcome())

    def _retire(self, population: Population) -> None:
        for drive in self._drives.values():
            if not drive.over and drive.population is population:
                raise RoundStateError(
                    f"run {drive.picture.view.name!r} trains with these clients",
                    hint="pause it before they are made anew with other settings",
                )
        self._populations.remove(population)
        population.close()

    def _forget(self, run: RunId) -> None:
        """A run that rested is over: remote clients need not keep anything of it."""
        for population in tuple(self._populations):
            self._thread().loop.call_soon_threadsafe(population.ended, run)

    def _taken_back(self, run: RunId, generation: int) -> None:
        """The head of a run was moved: what remote clients do for what was left behind is over."""
        for population in tuple(self._populations):
            self._thread().loop.call_soon_threadsafe(population.taken_back, run, generation)

    def _population(self, task: Task) -> Population:
        fingerprint = task.fingerprint()
        for population in reversed(self._populations):
            if population.task is task or population.task.fingerprint() == fingerprint:
                return population
        if self._desk is not None:
            return self._populate(task, Simulation(clients=0))
        raise PlanError(
            f"no clients here learn the task {task.name!r}",
            hint="coord.simulate(task) or coord.invite(name) first",
        )
