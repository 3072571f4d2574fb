# The commands of the project. They need Python 3.11 or newer and nothing else; `.venv` is made here.
#
#   PYTHON=…        the interpreter that .venv is made from
#   TORCH_INDEX=…   one more package index to look for torch in (a CPU or a CUDA build)
#   FLNB_DATA_DIR=… folder with the real data sets; tests that need them are skipped without it

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
# Parallelism comes from processes; a second thread in each would only be in the way. Hundreds of them
# import flnb: its bytecode is kept, also where the environment says otherwise.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest

# How flnb/transport/v1 is made; the check makes it again and compares.
PROTOC := $(BIN)/python -m grpc_tools.protoc -Iflnb/transport/v1=proto/flnb/v1
MESSAGES := flnb/transport/v1/federation.proto flnb/transport/v1/control.proto

.PHONY: help demo test test-long test-s3 test-ui soak screenshots chromium check docs bench studies bench-papers proto

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*##/  make \1\t/' | expand -t 20

demo: .venv/.installed  ## install and train a first federation, live in the terminal
	$(BIN)/flnb quickstart

# Three processes on two cores: for a quarter of its time one waits for processes that it started.
test: .venv/.installed-dev  ## every kind of test at reduced size, under 12 minutes on 2 cores
	$(PYTEST) --numprocesses 3 --dist loadfile --no-loadscope-reorder --durations=25

test-long: .venv/.installed-dev chromium  ## the full-size runs; how long they take stands in docs/lanes.md
	$(PYTEST) -m long --hypothesis-profile=long --timeout=5400

test-s3: .venv/.installed-dev  ## labs in S3 against a Ceph of their own; installs it from Debian's packages
	@command -v radosgw >/dev/null || { sudo=$$(test $$(id -u) = 0 || echo sudo); \
		$$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		$$sudo apt-get install -y -qq --no-install-recommends radosgw ceph-mon ceph-osd ceph-mgr; }
	$(PYTEST) tests/s3 -m "s3 and not long"

UI ?= tests/ui
SOAK_S ?= 1800
soak: .venv/.installed-dev chromium  ## fifty pages open for half an hour (SOAK_S=1800): memory, threads, processor, lateness
	FLNB_SOAK_S=$(SOAK_S) $(PYTEST) tests/ui/test_soak.py -s -k 'soak]' -m long --timeout=3600

test-ui: .venv/.installed-dev chromium  ## pages in a real browser; UI=… for some of them; installs Debian's chromium
	$(PYTEST) $(UI) -m "ui and not long"

SHOTS ?= screenshots
screenshots: .venv/.installed-dev chromium  ## every page in every state, light and dark, into SHOTS=… with an index.html
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.ui.screenshots $(SHOTS)

chromium:
	@command -v chromium >/dev/null || { sudo=$$(test $$(id -u) = 0 || echo sudo); \
		$$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		$$sudo apt-get install -y -qq --no-install-recommends chromium; }

check: .venv/.installed-dev  ## format, lint, types, import direction, dead code
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	@made=$$(mktemp -d) && $(PROTOC) --python_out=$$made --pyi_out=$$made $(MESSAGES) \
		&& diff -r --exclude=__pycache__ $$made/flnb/transport/v1 flnb/transport/v1 \
		|| { echo "flnb/transport/v1 does not fit proto/: make proto"; exit 1; }

docs: .venv/.installed-dev  ## the documentation's site into docs/_build/html; offline; warnings are errors
	$(BIN)/python -m docs.made

proto: .venv/.installed-dev  ## make the messages of flnb/transport/v1 from proto/
	$(PROTOC) --python_out=. --pyi_out=. $(MESSAGES)

bench: .venv/.installed-dev .bench-env/.installed  ## figures, each beside its peer or its physical limit
	@status=0; for group in main remote history service pages studies algorithms; do $(BIN)/python -m benchmarks $$group || status=$$?; done; exit $$status

STUDIES := fedavg heart mnist_skew shakespeare_roles
STUDIES_LAB ?= labs/studies
studies: .venv/.installed-dev  ## real studies at full size, resumable; heart 6 min of 2 cores, MNIST 10 min, Shakespeare less than 35 min
	@test -n "$(FLNB_DATA_DIR)" || { echo "set FLNB_DATA_DIR to the folder that holds mnist, shakespeare and heart: data/README.md"; exit 2; }
	@for study in $(STUDIES); do \
		$(BIN)/flnb study run experiments/$$study.yaml --lab $(STUDIES_LAB) || exit $$?; \
		$(BIN)/flnb study report $$study --lab $(STUDIES_LAB) --output $(STUDIES_LAB)/$$study.html || exit $$?; done

bench-papers: .venv/.installed-dev  ## rounds to a target beside the papers; goes on where it was stopped
	$(BIN)/python -m benchmarks papers
	$(BIN)/python -m benchmarks.plot

.venv/bin/python:
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "flnb needs Python 3.11 or newer; found $(or $(PYTHON),none). Say which: make PYTHON=/path/to/python3.11 …"; \
		exit 2; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "$(PYTHON) cannot make a virtual environment (on Debian: apt-get install python3-venv)"; exit 2; }

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing into .venv: a few minutes, most of them for torch"
	$(PIP_INSTALL) --editable '.[notebook,dashboards,service]'
	@touch $@

.venv/.installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing into .venv, with the tools of development: a few minutes, most of them for torch"
	$(PIP_INSTALL) --editable '.[notebook,dashboards,service,cloud,optuna,scheduler,docs,dev]'
	@touch $@ .venv/.installed

# pfl-research pins versions that flnb does not want; torch and numpy are those of .venv.
.bench-env/.installed: constraints.txt | .venv/bin/python
	@echo "installing the peer of the benchmarks into .bench-env: a few minutes, most of them for torch"
	@$(BIN)/python -m venv .bench-env
	.bench-env/bin/python -m pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
		pfl==0.5.2 $(shell grep -E '^(torch|numpy)==' constraints.txt)
	@touch $@
