"""A lab of stand-ins, and the command line called in this process."""

import os
import sys
from types import SimpleNamespace

import pytest

from flnb.cli import main
from tests.cli.standins import VIEW, FakeLab, FakeRun


@pytest.fixture
def lab(monkeypatch):
    fake = FakeLab(FakeRun(VIEW))
    monkeypatch.setattr("flnb.cli.labs.existing", lambda path: fake)
    return fake


@pytest.fixture
def flnb(monkeypatch, capsys):
    """Call the command line; returns exit code, stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FLNB_LAB", raising=False)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["flnb", *arguments])
        monkeypatch.setattr(sys, "path", list(sys.path))
        before = os.environ.pop("FLNB_DEBUG", None)
        code = main()
        assert os.environ.pop("FLNB_DEBUG", None) is None or "--debug" in arguments
        if before:
            os.environ["FLNB_DEBUG"] = before
        out = capsys.readouterr()
        return SimpleNamespace(code=code, out=out.out, err=out.err)

    return call
