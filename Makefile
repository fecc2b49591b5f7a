# Every target is a line or two; what they run is the console script, pytest, or a linter. `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TORCH  ?= cpu
DATA   ?= ../shared/data
# CPU: the build with the local version +cpu where pip can find one, else the registry's (which is a CPU build on macOS).
TORCH_CPU  := "torch==2.13.0+cpu"
TORCH_CUDA := "torch==2.13.0"

.DEFAULT_GOAL := help
.PHONY: help demo up test coverage unit lint format types package bench clean constraints

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.run ## start a stack, grade a simulated crowd over HTTP, print what was found, stop everything
	$(BIN)/touchstone demo

up: $(VENV)/.run ## run the whole stack here until Ctrl-C; data stays in .touchstone/
	$(BIN)/touchstone up

test: $(VENV)/.dev ## the whole suite, against embedded servers of its own
	$(BIN)/python -m pytest -n 3 --dist loadgroup -m "not package" tests

coverage: $(VENV)/.dev ## the same, and which lines it does not reach
	$(BIN)/python -m pytest -n 3 --dist loadgroup -m "not package" --cov --cov-report= tests
	@$(BIN)/coverage report --skip-covered 2>/dev/null | tail -n 40

unit: $(VENV)/.dev ## the tests that open no socket
	$(BIN)/python -m pytest -q tests/unit

lint: $(VENV)/.dev ## ruff, mypy, import direction, spelling
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/codespell

format: $(VENV)/.dev ## put the sources into shape
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

package: $(VENV)/.dev ## build the wheel, install it elsewhere, run its tests there
	$(BIN)/python -m pytest -q -m package tests/packaging

bench: $(VENV)/.dev ## the benchmarks, each with JSON on its last line; DATA=folder of the public data sets
	$(BIN)/python -m benchmarks.ingest --json
	$(BIN)/python -m benchmarks.fleet --json
	@if [ -d "$(DATA)" ]; then for part in consensus collection gold; do \
	$(BIN)/python -m benchmarks.$$part --data "$(DATA)" --json || exit 1; done; \
	else echo "benchmarks.consensus, .collection and .gold are skipped: $(DATA) is no folder; name one with DATA="; fi

clean: ## remove the environment and the caches (.touchstone/ stays)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache dist .coverage*

constraints: $(VENV)/.dev ## write down the versions that are installed now
	{ echo '# The exact versions that CI, `make` and the images install. Renew: make constraints'; \
	  $(BIN)/pip freeze --exclude-editable | sed 's/+cpu//'; } > constraints.txt

$(VENV)/.torch: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq -c constraints.txt $(if $(filter cuda,$(TORCH)),$(TORCH_CUDA),$(TORCH_CPU)) || $(BIN)/python -m pip install -q -c constraints.txt $(TORCH_CUDA)
	@touch $@

$(VENV)/.run: $(VENV)/.torch pyproject.toml
	$(BIN)/python -m pip install -qq -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install -qq -c constraints.txt --upgrade "pip>=25.1"
	$(BIN)/python -m pip install -qq -c constraints.txt --group dev
	@touch $@
