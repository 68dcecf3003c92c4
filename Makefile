# Everything a developer does, from a fresh machine with Python and make only.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
INCIDENT ?= k8sgpt/results/pod-oomkilled.yaml
TESTS ?= tests

.PHONY: run test check bench lock format clean

## Start the service with the embedded defaults and show what it makes of one real incident.
## ONCE=1 exits after the message.
run: $(VENV)/runtime.stamp
	@echo "make run: SQLite, no cluster, playbooks only unless Ollama answers, messages to this terminal."
	@AEGIS_KUBERNETES="$${AEGIS_KUBERNETES:-off}" \
	 AEGIS_GROUP_WAIT="$${AEGIS_GROUP_WAIT:-0s}" \
	 AEGIS_LOG_LEVEL="$${AEGIS_LOG_LEVEL:-error}" \
	 AEGIS_PORT="$${AEGIS_PORT:-$(if $(ONCE),0,8080)}" \
	 $(BIN)/aegis-sink serve --replay $(INCIDENT) $(if $(ONCE),--once)

## All tests this machine can carry; what is left out says why in the summary.
test: $(VENV)/dev.stamp
	$(BIN)/pytest -n auto --dist loadgroup $(TESTS)

## Format, lint, types, import contracts.
check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## Measure, as ratios to a bare reference in the same run; decides nothing.
bench: $(VENV)/dev.stamp
	$(BIN)/python -m tests.bench.run

## Write the locked requirements anew.
lock: $(VENV)/dev.stamp
	$(BIN)/uv pip compile pyproject.toml --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header -q -o requirements/runtime.txt
	$(BIN)/uv pip compile pyproject.toml --upgrade --group dev -c requirements/runtime.txt --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -q \
	  -o requirements/dev.txt
	echo hatchling | $(BIN)/uv pip compile - --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header -q -o requirements/build.txt

format: $(VENV)/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf aegis-sink.db* $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

# pip, not python: a venv that could not be finished (Debian keeps ensurepip in python3-venv) has none.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit("make: needs Python 3.11 or newer, $(PYTHON) is %d.%d: make PYTHON=python3.13 …" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/runtime.stamp: requirements/runtime.txt pyproject.toml | $(BIN)/pip
	@echo "make: installing the locked dependencies into $(VENV) (once) …"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt pyproject.toml | $(BIN)/pip
	@echo "make: installing the locked test dependencies into $(VENV) (once) …"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@ $(VENV)/runtime.stamp
