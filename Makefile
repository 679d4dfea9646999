# Everything happens in .venv; nothing is installed outside of it but the Debian packages
# that `make test` needs, and those only as root.

VENV := .venv
PYTHON := $(VENV)/bin/python

.PHONY: help run test lint bench soak mutants clean

help:
	@echo 'make run     watch your sessions in the foreground (Ctrl-C ends it)'
	@echo 'make test    check everything: style, types, import contracts, tests'
	@echo 'make lint    the same without the tests'
	@echo 'make bench   measure, and print the table'
	@echo 'make soak    the endurance runs, in full'
	@echo 'make mutants whether a test dies of each small wrong in what decides'
	@echo 'make clean   remove the environment and all caches'

run: $(VENV)/.for-use
	@exec $(VENV)/bin/sentinel agent

test: $(VENV)/.for-work
	@scripts/packages
	@[ -d $(VENV)/tmuxes ] || ! command -v apt-get >/dev/null || scripts/tmuxes $(VENV)/tmuxes
	@$(MAKE) --no-print-directory lint
	$(PYTHON) -m pytest

lint: $(VENV)/.for-work
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	$(PYTHON) -m mypy --platform darwin --cache-dir .mypy_cache/darwin
	$(VENV)/bin/lint-imports

bench: $(VENV)/.for-work
	$(PYTHON) -m benchmarks

soak: $(VENV)/.for-work
	SENTINEL_SOAK=full $(PYTHON) -m pytest -m soak --timeout=0

mutants: $(VENV)/.for-work
	$(PYTHON) -m tests.mutation.run

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.for-use: pyproject.toml scripts/environment
	@scripts/environment .
	@touch $@

$(VENV)/.for-work: pyproject.toml scripts/environment
	@scripts/environment '.[dev]'
	@touch $(VENV)/.for-use $@
