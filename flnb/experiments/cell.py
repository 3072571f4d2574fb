"""The process of a worker: `python -m flnb.experiments.cell LOG`, started by a runner.

It reads what to do from stdin and answers on stdout; a thread reads, so that a kernel can be stopped
while the main thread executes it. When stdin ends the runner is gone: the kernel is stopped, and so
is this process.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from flnb.experiments import without_grammars  # noqa: F401  # before anything imports jsonschema
from flnb.experiments.engine import Engine
from flnb.experiments.jobs import ENDED, EXECUTE, PAGE, READY, RESULT, Job, Result
from flnb.experiments.kernels import Forge
from flnb.experiments.worker import execute, write_page

log = logging.getLogger(__name__)


class Ears:
    """Hears what the runner says, while the main thread is busy."""

    def __init__(self, source: TextIO) -> None:
        self._source = source
        self._jobs: queue.Queue[Job | None] = queue.Queue()
        self._alone = False
        threading.Thread(target=self._listen, name="flnb-ears", daemon=True).start()

    def next(self) -> Job | None:
        """The next job; None when the runner is gone."""
        return None if self._alone else self._jobs.get()

    def _listen(self) -> None:
        for line in self._source:
            message = json.loads(line)
            if message["do"] == EXECUTE:
                # Here, and not where it is begun: until then it may already be stopped again.
                Engine.expect()
                self._jobs.put(Job.of(message))
            else:
                Engine.stop()
        self._alone = True
        self._jobs.put(None)
        Engine.stop()


def _keep(result: Result, file: Path) -> None:
    """For a runner that is not there any more to hear it; whole or not at all."""
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(result.message()), encoding="utf-8")
    draft.replace(file)


def main() -> None:
    """Execute jobs until there are no more."""
    # ^C in a terminal reaches every process of its group; the runner says what is to be done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer

    def say(**message: Any) -> None:
        try:
            answers.write(json.dumps(message) + "\n")
        except BrokenPipeError:
            log.info("the runner is gone")

    Engine.forge = Forge(Path(sys.argv[1]))
    ears = Ears(sys.stdin)
    say(**{READY: os.getpid()})
    while (job := ears.next()) is not None:
        Engine.forge.prepare(job.kernel)
        result = execute(job)
        _keep(result, Path(job.folder) / RESULT)
        say(**{ENDED: result.message()})
        try:
            say(**{PAGE: str(write_page(Path(result.notebook)))})
        except Exception:  # what was executed is safe, and the notebook can be opened itself
            log.exception("%s could not be written as a page", result.notebook)
            say(**{PAGE: ""})


if __name__ == "__main__":
    main()
