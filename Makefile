# Everything a developer or CI runs, by name. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
export PYTHONDONTWRITEBYTECODE :=
LAKE ?= demo-lake
# three on two cores: tests of servers and clocks wait a third of their time
WORKERS ?= 3
PYTEST = PYTEST_DEBUG_TEMPROOT=$$(bash tests/scratch.sh) $(BIN)/python -m pytest -q -n $(WORKERS)
# A file of tests stays whole, so that what it builds for itself is built once; in their order, in which the long files come
# early and the short ones of `unit` fill up the end. With the soaks in them, files are too unequal for that.
WHOLE_FILES = --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo up test test-all lint format bench bench-quick bench-purge bench-redact bench-slo bench-evidence bench-ui lock docs pictures clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/.uv: requirements/bootstrap.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, got " + sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --require-hashes -r requirements/bootstrap.lock
	@touch $@

.venv/.runtime: .venv/.uv requirements/runtime.lock pyproject.toml
	@echo "setting up .venv (once)"
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes --compile-bytecode -r requirements/runtime.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation --compile-bytecode -e .
	@touch $@

.venv/.dev: .venv/.runtime requirements/dev.lock
	@echo "adding what tests need (once)"
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes --compile-bytecode -r requirements/dev.lock
	@touch $@

setup: .venv/.dev ## set up .venv with everything that development needs

demo: .venv/.runtime ## a simulated agent fleet through everything, into ./demo-lake
	@$(BIN)/muniment demo --lake $(LAKE)

up: .venv/.runtime ## receivers and maintenance under one supervisor, Ctrl-C stops all
	@$(BIN)/muniment up

test: .venv/.dev ## the tests, without the long soak and fault runs
	@bash tests/install_system.sh
	@$(PYTEST) $(WHOLE_FILES) -m "not slow"

test-all: .venv/.dev ## every test, the long ones too, and more examples of each property
	@bash tests/install_system.sh
	@$(PYTEST) --dist worksteal --hypothesis-profile thorough

lint: .venv/.dev ## ruff, mypy, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: .venv/.dev ## put the code into its format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: .venv/.dev ## every benchmark, half an hour; writes benchmarks/.cache/results.json
	@$(BIN)/python -m benchmarks

bench-quick: .venv/.dev ## the same with less of everything, some minutes
	@$(BIN)/python -m benchmarks --quick

bench-purge: .venv/.dev ## purges, expiries and erasures in a lake of 5 million spans
	@$(BIN)/python -m benchmarks purge

bench-redact: .venv/.dev ## what the detectors of personal data find, and what they cost
	@$(BIN)/python -m benchmarks.redact

bench-slo: .venv/.dev ## SLOs and incident rules over 5 million spans: the first round, the next, and how it grows
	@$(BIN)/python -m benchmarks slo incidents

bench-evidence: .venv/.dev ## a SOC 2 pack of a tenant-month over 5 million spans: building and verifying it
	@$(BIN)/python -m benchmarks evidence

bench-ui: .venv/.dev ## the pages over 5 million spans, in a browser: first useful paint, cold and warm
	@bash tests/install_system.sh
	@$(BIN)/python -m benchmarks pages

docs: .venv/.runtime ## write the reference pages that are read off the code
	@$(BIN)/python docs/generate.py

pictures: .venv/.dev ## take the pictures of the pages that stand in docs, from the demo lake
	@bash tests/install_system.sh
	@LAKE=$(LAKE) $(BIN)/python -m docs.pictures

lock: .venv/.uv ## resolve the locks anew from pyproject.toml
	@bash requirements/lock.sh

clean: ## remove .venv and the demo lake
	@rm -rf .venv demo-lake build *.egg-info
