# `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What `make check` runs of the suite: the house rules, the vocabulary and protocols, the command line.
FAST_TESTS ?= tests/repo tests/hub tests/flow/test_cli.py tests/flow/test_pull.py
# Three on two cores: much of the suite waits for servers that it starts.
TEST_PROCESSES ?= 3
export RUNTIME__DLTHUB_TELEMETRY = false
unexport PYTHONDONTWRITEBYTECODE

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(VENV)/.installed ## create .venv and install the hash-locked requirements

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "crossdock needs Python 3.11 or later")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked requirements into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## start the sandbox systems, run one full cycle and show the result (FRESH=1 begins anew)
	@$(BIN)/crossdock demo $(if $(FRESH),--fresh)

test: setup ## the whole test suite, a file a process at a time
	@$(BIN)/python -m pytest tests --numprocesses=$(TEST_PROCESSES) --dist=loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: setup ## what a person runs before committing: format, lint, types, import contracts, mappings, fast tests
	@$(BIN)/ruff format --check --quiet . || { echo 'run: make format'; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 2
	@$(BIN)/crossdock lint
	@$(if $(FAST_TESTS),$(BIN)/python -m pytest $(FAST_TESTS) -x $(PYTEST_ARGS))

format: setup ## format the code
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --fix --quiet .

up: setup ## start the sandbox and Airflow on 127.0.0.1; ctrl-C stops both
	@exec $(BIN)/crossdock up

gate-bench: setup ## 20 rules over a million rows and over 100; keeps benchmarks/results/gate.json
	@PYTHONPATH=. $(BIN)/python benchmarks/gate.py --json benchmarks/results/gate.json

chaos: setup ## 200 SIGKILLs, every failpoint × 4 over 20,000 orders, 10,000 faulty pushes; keeps benchmarks/chaos.json
	@$(BIN)/python tests/support/chaos.py

bench-changes: setup ## what a run of a few changed records costs, what a plan and what a start costs (benchmarks/results)
	@$(BIN)/python benchmarks/changes.py --sizes $(or $(SIZES),100k,300k,1m,3m,5m)
	@$(BIN)/python benchmarks/plan.py
	@$(BIN)/python benchmarks/startup.py

bench-trace: setup ## what it costs to trace one order among a million; keeps benchmarks/results/trace.json
	@$(BIN)/python benchmarks/trace.py

bench-pull: setup ## what a pull costs the hub, beside bare loops and zeep; keeps benchmarks/results/pull.json (PULL="--large 200")
	@$(BIN)/python benchmarks/pull.py $(PULL)

bench: setup ## the bulk path beside hand-written SQL and other tools (SIZE=20k|100k|1m, ONLY=names, REPEAT=3)
	@$(BIN)/python benchmarks/bench.py --size $(or $(SIZE),100k) $(if $(ONLY),--only $(ONLY)) $(if $(REPEAT),--repeat $(REPEAT))

bench-customers: setup ## an ERP's customers as CSV and by SOAP beside code by hand; keeps benchmarks/results/customers.json (SIZE, REPEAT)
	@$(BIN)/python benchmarks/customers.py --size $(or $(SIZE),100k) $(if $(REPEAT),--repeat $(REPEAT))

recon-bench: setup ## reconcile 1M × 1M orders over 28 columns beside pandas and datacompy; keeps benchmarks/results/recon.json
	@$(BIN)/python benchmarks/reconcile.py --heal --out benchmarks/results/recon.json

hostile: setup ## ten thousand hostile mappings, none executed (the suite judges two thousand)
	@CROSSDOCK_HOSTILE_SHARE=7 $(BIN)/python -m pytest tests/mappings/test_mapping_hostile.py $(PYTEST_ARGS)

lock: ## write requirements.lock anew
	@$(BIN)/uv pip compile pyproject.toml --all-extras --python-version 3.11 --universal --generate-hashes --no-header \
	  --no-emit-index-url --no-emit-find-links --no-annotate --quiet -o requirements.lock

clean: ## remove data and caches, keep .venv
	@rm -rf data airflow_home .mypy_cache .ruff_cache .pytest_cache

.PHONY: help setup demo test check format up chaos bench-changes bench-trace hostile bench-pull bench-customers bench recon-bench gate-bench lock clean
