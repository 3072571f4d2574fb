"""What other processes ask of a coordinator: rows of the state database, looked for four times a second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from flnb.coordinator.history import marking
from flnb.coordinator.history.expiring import answer_expire
from flnb.coordinator.history.moving import answer_branch, answer_roll_back
from flnb.core.errors import LabLostError, StorageUnreachableError
from flnb.rounds import PauseAsked

if TYPE_CHECKING:
    from flnb.coordinator.coordinator import Coordinator
    from flnb.store import Command

INTERVAL_S = 0.25
DONE = "done"
"""What became of a command that was carried out."""

log = logging.getLogger(__name__)


async def obey(coordinator: Coordinator, in_io: Callable[..., Awaitable[Any]]) -> None:
    """Carry commands out, for as long as the coordinator runs.

    Args:
        coordinator: Who is asked.
        in_io: Does blocking work in the lab's one thread for databases.
    """
    state = coordinator.lab.store.state
    pending = state.when_changed(state.pending_commands)
    resting = state.when_changed(state.quarantines)
    away = False
    while True:
        await asyncio.sleep(INTERVAL_S)
        try:
            for command in await in_io(pending) or ():
                if not await in_io(state.begin_command, command.id):
                    continue  # taken back since the look, such as while another one was done
                result = await _answer(coordinator, command)
                await in_io(state.finish_command, command.id, result)
            if (quarantines := await in_io(resting)) is not None:
                coordinator.rest(quarantines)
            away = False
        except (StorageUnreachableError, LabLostError) as error:
            pending.again()
            resting.again()
            if not away:  # once, and not four times a second
                log.warning("commands of other processes are not heard: %s", error.message)
            away = True
        except Exception:
            # Such as a full disk: other commands, and this one in a while, are still heard.
            pending.again()
            resting.again()
            log.exception("commands of other processes could not be carried out")


async def _answer(coordinator: Coordinator, command: Command) -> str:
    """Do what another process asked for; says what came of it."""
    try:
        match command.verb:
            case "pause":
                coordinator.tell(command.run, PauseAsked())
            case "stop":
                await asyncio.to_thread(coordinator.end, command.run)
            case "resume":
                await asyncio.to_thread(coordinator.resume, coordinator.lab.run(command.run))
            case "rollback":
                answer = await asyncio.to_thread(
                    answer_roll_back, coordinator, command.run, command.arguments
                )
                return answer or DONE
            case "branch":
                await asyncio.to_thread(answer_branch, coordinator, command.run, command.arguments)
            case "alias" | "protect" | marking.FORGET:
                said = command.verb, command.arguments
                await asyncio.to_thread(marking.answer, coordinator, command.run, *said)
            case "expire":
                await asyncio.to_thread(answer_expire, coordinator, command.run, command.arguments)
            case _:
                return f"unknown command {command.verb!r}"
    except Exception as error:
        # Whatever a task does while it is loaded must not silence the coordinator.
        log.exception("command %s for run %s failed", command.verb, command.run)
        return str(error) or type(error).__name__
    return DONE
