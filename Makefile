# The commands of the project. `make test` needs nothing but Python 3.11 and make; the others use the active virtual
# environment, or .venv if there is one, or python3.

VENV ?= .venv
PYTHON ?= $(or $(and $(VIRTUAL_ENV),$(VIRTUAL_ENV)/bin/python),$(wildcard $(VENV)/bin/python),python3)
PYTEST_FLAGS ?= -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help install test check lint types pytest format docs demo test-product bench clean

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

docs:  ## renew the generated tables of the language reference, and the OpenAPI document
	$(PYTHON) -m gateway spec reference --write product_specs/README.md
	$(PYTHON) -m gateway.ingress.rest.openapi > docs/openapi.json

demo:  ## gateway up, a simulated fleet sends, records appear, the sums are printed
	$(PYTHON) -m loadtest.demo

test-product:  ## golden frames and codec proof of one product: make test-product P=concox_gt06
	@test -n "$(P)" || { echo 'which product? make test-product P=concox_gt06' >&2; exit 2; }
	$(PYTHON) -m gateway spec test $(P)

bench:  ## the figures of ARCHITECTURE.md
	@for file in tests/benchmarks/bench_*.py; do echo "== $$file"; $(PYTHON) "$$file" || exit 1; done

clean:  ## remove what builds and checks leave behind
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
