"""Tasks: a model, data spread over clients, a loss and metrics, ready to train.

Here are your own tasks and the built-in ones, their fingerprints and their names. Not here: the
readers and splits (`flnb.datasets`) and the training loop (`flnb.training`). Importing this room
does not import torch. Read `task.py` first, then `modules.py`.
"""

from flnb.tasks.builtin import digits, heart, mnist, shakespeare
from flnb.tasks.fingerprint import Fingerprint
from flnb.tasks.refs import TaskRef, importable, load, resolve
from flnb.tasks.task import Task

__all__ = [
    "Fingerprint",
    "Task",
    "TaskRef",
    "digits",
    "heart",
    "importable",
    "load",
    "mnist",
    "resolve",
    "shakespeare",
]
