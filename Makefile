# Every target sets itself up: `make demo` and `make test` work from a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE_PEER := tests/peers/opcua/node
CPPPO_PEER := tests/peers/cpppo
SOURCES := $(wildcard ext/*.pyx ext/*.pxd) setup.py pyproject.toml
# What does not wait for each other runs at the same time; `make -j1` does one after the other.
MAKEFLAGS += --jobs=4
# The tests start hundreds of processes, which shall not compile the same files each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-systemd ready bench torture soak package lint ruff mypy stubs format clean services
.DEFAULT_GOAL := help

help:
	@echo "make demo                            simulated PLCs, the daemon, and where to look (DEMO_ARGS=\"--for 60s --speed 10\")"
	@echo "make test                            every test (TEST_ARGS=\"-k outbox\")"
	@echo "make test-systemd                    the package's service under a real systemd, in a container; as root"
	@echo "make torture                         kills the daemon under load, 200 times (TORTURE_ARGS=\"--kills 1000 --seed 7\")"
	@echo "make soak                            faults on every side for minutes or hours; nothing may leak (SOAK_ARGS=\"--for 8h\")"
	@echo "make package                         an archive for machines without internet, into dist/"
	@echo "make lint                            ruff, mypy, stubs"
	@echo "make bench                           figures as ratios, into bench/results.json"

$(VENV)/installed: requirements.lock scripts/preflight.sh
	@sh scripts/preflight.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/built: $(VENV)/installed $(SOURCES)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --config-settings editable_mode=compat -e .
	@touch $@

demo: $(VENV)/built
	$(BIN)/linegate demo $(DEMO_ARGS)

services:
	@sh scripts/services.sh

$(NODE_PEER)/node_modules/installed: $(NODE_PEER)/package-lock.json | services
	@sh scripts/node_peer.sh

$(CPPPO_PEER)/.venv/installed: $(CPPPO_PEER)/requirements.lock
	@sh scripts/cpppo_peer.sh $(PYTHON)

# Compiles the tests once, and not in each worker.
$(VENV)/collected: $(VENV)/built $(shell find tests -name '*.py' -not -path '*/node_modules/*' -not -path '*/.venv/*')
	@$(BIN)/python -m pytest --collect-only -qq >/dev/null || $(BIN)/python -m pytest --collect-only -qq
	@touch $@

ready: $(VENV)/collected services $(NODE_PEER)/node_modules/installed $(CPPPO_PEER)/.venv/installed

test: ready
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(TEST_ARGS)

test-systemd: package services
	$(BIN)/python -m pytest -v -x tests/systemd/under_systemd.py $(TEST_ARGS)

lint: ruff mypy stubs

ruff: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

mypy: $(VENV)/installed
	$(BIN)/mypy

stubs: $(VENV)/built
	$(BIN)/python -m mypy.stubtest ext.table ext.registers ext.opcua ext.cip ext.trends ext.samples ext.curves --allowlist ext/stubtest.allow --ignore-unused-allowlist

format: $(VENV)/built
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/built services $(NODE_PEER)/node_modules/installed
	$(BIN)/python -m tests.benchmarks

torture: $(VENV)/built services
	TORTURE_EXAMPLES=1000 $(BIN)/python -m pytest -q --timeout 0 tests/gateway/outbox/test_model.py
	TORTURE_EXAMPLES=300 $(BIN)/python -m pytest -q --timeout 0 tests/gateway/outbox/test_model_bounds.py
	$(BIN)/python -m tests.torture $(TORTURE_ARGS)

soak: $(VENV)/built services
	$(BIN)/python -m tests.soak $(SOAK_ARGS)

package: $(VENV)/built
	$(BIN)/python scripts/package.py

clean:
	rm -rf $(VENV) $(NODE_PEER)/node_modules $(CPPPO_PEER)/.venv build dist *.egg-info ext/*.c ext/*.so
