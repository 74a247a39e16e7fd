# Everything a developer does here. `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
LOCKS := requirements.lock requirements-dev.lock requirements-uv.lock
TEST_FLAGS ?= -n logical --dist worksteal

export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header $(LOCK_FLAGS)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup run test check check-static coverage-gates mutants crash fix migrate lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv from the locked, hashed dependencies
	@:

# uv is the fast way and itself locked by hash; where it has no wheel, pip installs the very same lock.
$(STAMP): $(LOCKS) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; choose one with: make setup PYTHON=python3.12")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@if $(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements-uv.lock && $(BIN)/uv --version >/dev/null; then \
		$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.lock && \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable . ; \
	else \
		echo "uv cannot be had here: pip takes its place (slower; same versions, same hashes)"; \
		$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock && \
		$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable . ; \
	fi
	@touch $@

run: setup ## run the whole service here, on SQLite and the pretend phone network
	@exec $(BIN)/aftercare run

test: setup ## run the tests, with coverage
	@$(BIN)/python -m pytest $(TEST_FLAGS) --cov

check: check-static test coverage-gates ## all that must hold before a change is shared

check-static: setup ## format, lint, types, floors, weak spots, secrets, locks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --severity-level medium --configfile pyproject.toml service
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/test_secrets.py
	$(BIN)/python -m pip check
	@! grep -nE '://|--(extra-)?index-url|--find-links' $(LOCKS) || { echo "a lock names an address: make it again with make lock"; exit 1; }

coverage-gates: setup ## the rules, use cases and queries are covered whole (needs the data of make test)
	$(BIN)/coverage report --include='service/domain/*' --skip-covered --fail-under=100
	$(BIN)/coverage report --include='service/flows/*,service/flows/verification/*' --skip-covered --fail-under=100
	$(BIN)/coverage report --include='service/store/*' --skip-covered --fail-under=100

mutants: setup ## break the engine on purpose and see that the simulated world notices (long)
	@$(BIN)/python -m tests.mutants

crash: setup ## kill, freeze and cut off real workers, and count at the provider (long)
	@CRASH=long $(BIN)/python -m pytest tests/crash

fix: setup ## format and repair what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

migrate: setup ## bring the database of AFTERCARE_DATABASE_URL up to date
	@$(BIN)/aftercare migrate

lock: setup ## renew the locks after pyproject.toml changed (newest versions: LOCK_FLAGS=--upgrade)
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --group dev --constraint requirements.lock -o requirements-dev.lock
	$(COMPILE) --group bootstrap -o requirements-uv.lock
