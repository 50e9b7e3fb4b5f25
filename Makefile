# make run · make test · make check · make docs · make bench · make fuzz · make dist: each does its own set-up.
.PHONY: run test check format docs wheel bench fuzz api-fuzz screenshots dist clean
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet

help:
	@echo "make run    the guide's backend and a receiver, with a first webhook delivered"
	@echo "make test   all tests"
	@echo "make check  format, lint, types, arrows"
	@echo "make docs   the documentation as a site, for hookline serve and the wheel"
	@echo "make wheel  the site, then the wheel with it, in dist/"
	@echo "make bench  the benchmarks, one table"
	@echo "make fuzz   look for input that breaks a promise: SECONDS=60 a target, TARGETS='url headers'"
	@echo "make dist   build wheel and sdist, twice the same, and try them: PYTHONS='python3.12 python3.13'"
	@echo "make screenshots  the pictures of the pages in docs/images"
	@echo "make api-fuzz  hostile requests to the REST API: EXAMPLES=300 for each operation"

# One virtual environment, two stamps: running needs less than testing.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(f"Hookline needs Python 3.11 or newer, this is {sys.version.split()[0]}: try make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[backend]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@touch $(VENV)/run.stamp $(VENV)/docs.stamp $@

run: $(VENV)/run.stamp
	@$(BIN)/python backend/demo.py

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n auto --maxprocesses 4 $(ARGS)

check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/docs.stamp: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[docs]'
	@touch $@

docs: $(VENV)/docs.stamp
	@$(BIN)/python docs/site/build.py

wheel: docs
	$(PIP) build
	$(BIN)/python -m build --quiet

$(VENV)/bench.stamp: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[bench]'
	@touch $(VENV)/run.stamp $(VENV)/dev.stamp $@

bench: $(VENV)/bench.stamp
	$(BIN)/python -m benchmarks

$(VENV)/fuzz.stamp: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[fuzz]'
	@touch $(VENV)/run.stamp $(VENV)/dev.stamp $@

SECONDS ?= 60
fuzz: $(VENV)/fuzz.stamp
	$(BIN)/python -m fuzz $(TARGETS) --seconds $(SECONDS)

EXAMPLES ?= 300
api-fuzz: $(VENV)/dev.stamp
	HOOKLINE_FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -n auto --maxprocesses 4 tests/web/test_fuzz.py

$(VENV)/release.stamp: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[release]'
	@touch $(VENV)/run.stamp $(VENV)/dev.stamp $@

dist: $(VENV)/release.stamp
	$(BIN)/python -m tools.dist $(foreach python,$(PYTHONS),--python $(python)) $(ARGS)

# The pages as pictures, in docs/images: a server with made-up data, and the Chromium of this machine.
screenshots: $(VENV)/dev.stamp
	HOOKLINE_DEVELOPMENT=1 $(BIN)/python -m tools.screenshots $(NAMES)

clean:
	rm -rf $(VENV) var dist src/hookline/_web/site/built receivers/node/node_modules receivers/node/dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
