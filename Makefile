# Two commands matter: `make refresh` and `make test`; `make help` lists the others.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
WITH_DASHBOARD := $(VENV)/.dashboard
WITH_SPARK := $(VENV)/.spark
ARGS ?=
IMPORTERS ?= 1,16,64,all

.DEFAULT_GOAL := help
.PHONY: help setup setup-dashboard setup-spark dashboard refresh test test-faults test-spark test-superset unit ui status lint format types lock benchmark benchmark-importers benchmark-serving benchmark-dashboard benchmark-scale figures definitions clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-20s %s\n", $$1, $$2}'

setup: $(INSTALLED) ## create .venv, install the locked dependencies, fetch the open-data bundle
	@$(BIN)/minerals fetch

refresh: setup ## refresh the warehouse and publish a release (ARGS="--quiet" for logs)
	@$(BIN)/minerals refresh $(ARGS)

test: setup ## run every test: unit, then integration on the real bundle
	@$(BIN)/python -m pytest -n 2 tests/unit $(ARGS)
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/integration $(ARGS)

unit: $(INSTALLED) ## run the unit tests only
	@$(BIN)/python -m pytest -n 2 tests/unit $(ARGS)

test-faults: setup ## kills, a full disk, damaged files, a daemon that dies: minutes
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/faults $(ARGS)

test-superset: setup setup-dashboard ## import deploy/superset into a Superset (SUPERSET_BIN or on the PATH), look at it: minutes
	@$(BIN)/python -m pytest -rs tests/superset $(ARGS)

test-spark: setup setup-spark ## the bundle through DuckDB and Spark: the same release; Spark's failures; minutes
	@$(BIN)/python -m pytest -rs tests/spark $(ARGS)

ui: setup ## start the Dagster UI and its daemon on the same instance
	@$(BIN)/minerals ui $(ARGS)

dashboard: setup-dashboard ## look at the release in a browser (ARGS="--port 8600")
	@$(BIN)/minerals dashboard $(ARGS)

setup-dashboard: $(WITH_DASHBOARD) ## install what the dashboard and its tests need beside the rest

setup-spark: $(WITH_SPARK) ## install Apache Spark beside the rest, for MINERALS_ENGINE=spark (needs Java 17)

status: $(INSTALLED) ## last refresh, release in use, sources and their age
	@$(BIN)/minerals status

lint: $(INSTALLED) ## check format and style of Python and SQL
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models dbt_project/tests

format: $(INSTALLED) ## rewrite Python and SQL in our style
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/sqlfluff fix --disable-progress-bar dbt_project/models dbt_project/tests

types: $(INSTALLED) ## check the types of the domain
	@$(BIN)/mypy

benchmark: setup ## a refresh beside its floor, our estimator beside others, models beside past purchases
	@$(BIN)/python benchmarks/refresh.py $(ARGS)
	@$(BIN)/python benchmarks/ppml.py $(ARGS)
	@$(BIN)/python benchmarks/ranking.py $(ARGS)

benchmark-importers: setup ## how a refresh grows from one importer to all (IMPORTERS=1,4 for fewer)
	@$(BIN)/python benchmarks/refresh.py --importers $(IMPORTERS)

benchmark-serving: setup ## eight readers beside publications, and when idle (ARGS=--quick for both)
	@$(BIN)/python benchmarks/serving.py $(ARGS)

benchmark-scale: setup setup-spark ## the trade rows many times over, by DuckDB and Spark (ARGS="--times 1,10")
	@$(BIN)/python -m benchmarks.scale $(ARGS)

benchmark-dashboard: setup-dashboard ## how long a reader of the dashboard waits (ARGS=--quick for brief)
	@$(BIN)/python benchmarks/dashboard.py $(ARGS)

figures: setup-dashboard ## draw the README's charts and the pictures of the dashboard from the served release
	@$(BIN)/python docs/figures/forward_ranking.py
	@$(BIN)/python docs/figures/portfolio.py
	@$(BIN)/python -m docs.figures.dashboard

definitions: $(INSTALLED) ## write tests/definitions.txt anew, after a change of assets, checks or jobs
	@$(BIN)/python -m tests.integration.definitions_text

lock: ## resolve pyproject.toml anew into the lock files (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-strip-extras --no-header -q -o requirements.lock
	uv pip compile pyproject.toml --extra dashboard --universal --python-version 3.11 -c requirements.lock \
		--generate-hashes --no-emit-index-url --no-strip-extras --no-header -q -o requirements-dashboard.lock
	uv pip compile pyproject.toml --extra spark --universal --python-version 3.11 -c requirements.lock \
		--generate-hashes --no-emit-index-url --no-strip-extras --no-header -q -o requirements-spark.lock

clean: ## forget caches (data and releases stay)
	rm -rf dbt_project/target dbt_project/logs .pytest_cache .mypy_cache .ruff_cache

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 refresh")'
	@echo "Installing the locked dependencies into $(VENV) (once, a few minutes) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pip check --disable-pip-version-check
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib orchestration minerals expectations dashboard || true
	@touch $@

$(WITH_DASHBOARD): $(INSTALLED) requirements-dashboard.lock
	@echo "Installing the packages of the dashboard into $(VENV) (once, a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dashboard.lock
	@$(BIN)/python -m pip check --disable-pip-version-check
	@touch $@

$(WITH_SPARK): $(INSTALLED) requirements-spark.lock
	@echo "Installing Apache Spark into $(VENV) (once, 450 MB, a few minutes) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-spark.lock
	@$(BIN)/python -m pip check --disable-pip-version-check
	@touch $@
