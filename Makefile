# make help lists the targets. Nothing has to be installed by hand but make and Python 3.11 to 3.13.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help install install-dev demo test test-all bench chaos soak lint generate lock clean

VENV ?= .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest --junitxml=var/test/junit.xml
# Options for ioc up or pytest: make demo ARGS="--speed 60", make test ARGS="-k kill"
ARGS ?=

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: ## set up .venv with the locked packages and the command .venv/bin/ioc
	@deploy/install.sh $(VENV) requirements.lock

install-dev: ## the same with everything that tests, linters and boards need
	@deploy/install.sh $(VENV) requirements-dev.lock

demo: install ## run the whole system here (Ctrl-C stops it): open the wall it names
	@deploy/tools.sh prometheus alertmanager
	@exec $(BIN)/ioc up $(ARGS)

test: install-dev tools lint ## linters, types, rooms and all tests but the slow ones
	@mkdir -p var/test
	@$(PYTEST) -m "not slow" -n 2 --dist loadfile $(ARGS) || { $(report); exit 1; }
	@$(report)

test-all: install-dev tools lint ## the same with the slow ones
	@mkdir -p var/test
	@$(PYTEST) -n 2 --dist loadfile $(ARGS) || { $(report); exit 1; }
	@$(report)

bench: install-dev ## events per second beside other engines, answers compared (5 minutes)
	@$(BIN)/python -m tests.bench.compare $(ARGS)

chaos: install-dev ## hurt a whole system at random for 20 minutes, compare every number (ARGS="--seed 7")
	@$(BIN)/python -m tests.chaos $(ARGS)

soak: install-dev ## 30 minutes at 20,000 records a second: memory flat, nothing lost, no drift
	@$(BIN)/python -m tests.chaos.soak $(ARGS)

lint: install-dev ## ruff, mypy --strict, import rooms, generated files up to date
	@mkdir -p var
	@echo "ruff"; $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "mypy"; $(BIN)/mypy && $(BIN)/mypy examples
	@echo "import-linter"; $(BIN)/lint-imports --no-cache >var/lint-imports.log 2>&1 || { cat var/lint-imports.log; exit 1; }
	@echo "generated files"
	@$(BIN)/python -m schemas.generate --check
	@$(BIN)/python -m deploy.prometheus.generate --check
	@$(BIN)/ioc grafana build --check

generate: install-dev ## write what is generated and committed: schemas, rules, boards
	@$(BIN)/python -m schemas.generate
	@$(BIN)/python -m deploy.prometheus.generate
	@$(BIN)/ioc grafana build

lock: install-dev ## resolve the three lock files anew (needs uv)
	@uv pip compile pyproject.toml --group build $(COMPILE) -o requirements.lock
	@uv pip compile pyproject.toml --group build --group boards --group lint \
	  --group test $(COMPILE) -c requirements.lock -o requirements-dev.lock
	@uv pip compile tests/bench/peers/requirements.in $(COMPILE) -o requirements-bench.lock

clean: ## remove caches and build products (.venv and data directories stay)
	@rm -rf build dist var *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

.PHONY: tools
tools:
	@deploy/tools.sh chromium prometheus alertmanager

COMPILE := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet
report = echo "report: var/test/junit.xml; pictures and logs of failed tests: var/test/"
