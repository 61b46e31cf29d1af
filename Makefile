# The commands of the project. `make test` needs nothing but Python 3.11 and make; the others use the active virtual
# environment, or .venv if there is one, or python3.

VENV ?= .venv
PYTHON ?= $(or $(and $(VIRTUAL_ENV),$(VIRTUAL_ENV)/bin/python),$(wildcard $(VENV)/bin/python),python3)
PYTEST_FLAGS ?= -n auto --dist worksteal
SCENARIO ?= steady
LOAD_FLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help install test check lint types pytest format docs demo test-product bench load clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  \1\t/' | expand -t 18

install: $(VENV)/.installed  ## make the virtual environment, with the tools for development

$(VENV)/.installed: pyproject.toml
	test -x $(VENV)/bin/python || python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable '.[dev]'
	touch $@

test: install  ## install, then run every check
	$(MAKE) check PYTHON=$(VENV)/bin/python

check: lint types pytest  ## ruff, mypy --strict, pytest

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types:
	$(PYTHON) -m mypy --strict decoders gateway loadtest tests

pytest:
	$(PYTHON) -m pytest $(PYTEST_FLAGS)

format:  ## put the code into the house's form
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

docs:  ## renew what is generated: language reference, metrics, OpenAPI document
	$(PYTHON) -m gateway spec reference --write product_specs/README.md
	$(PYTHON) -m gateway.app.metric_reference docs/metrics.md
	$(PYTHON) -m gateway.ingress.rest.openapi > docs/openapi.json

demo:  ## gateway up, a simulated fleet sends, records appear, the sums are printed
	$(PYTHON) -m loadtest.demo

test-product:  ## golden frames and codec proof of one product: make test-product P=concox_gt06
	@test -n "$(P)" || { echo 'which product? make test-product P=concox_gt06' >&2; exit 2; }
	$(PYTHON) -m gateway spec test $(P)

bench:  ## what parts cost; docs/performance.md says which command gives which figure
	@for file in tests/benchmarks/bench_*.py; do \
	  echo "== $$file"; $(PYTHON) -m "tests.benchmarks.$$(basename "$$file" .py)" || exit 1; done

load:  ## a simulated fleet against a gateway: make load SCENARIO=steady LOAD_FLAGS="--rate 1000 --seconds 20"
	$(PYTHON) -m loadtest.fleet run $(SCENARIO) --report build/load/$(SCENARIO).html $(LOAD_FLAGS)

clean:  ## remove what builds and checks leave behind
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
