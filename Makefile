# `make demo` and `make test` need a Python >= 3.11 and nothing else: both set up .venv first.
# PYTHON=... chooses the interpreter, ARGS=... is handed on: make test ARGS="tests/core/house -x"

ready := .venv/.ready

.PHONY: help demo demo-flyte demo-prefect test lint types check format clean

help:
	@echo "make demo          run examples/census on a local Dask cluster"
	@echo "make demo-flyte    run it in a Flyte task, on the same cluster"
	@echo "make demo-prefect  run it in a Prefect flow, on the same cluster"
	@echo "make test          run the tests"
	@echo "make lint          check style and import contracts"
	@echo "make types         check the types"
	@echo "make check         run all that CI runs (.ci/run)"
	@echo "make format        format the code"
	@echo "make clean         remove environments and caches"

demo: $(ready)
	.venv/bin/python examples/census/main.py $(ARGS)

demo-flyte: $(ready)
	.venv/bin/flyte run --local examples/census/flyte_census.py census $(ARGS)

demo-prefect: $(ready)
	.venv/bin/python examples/census/prefect_census.py $(ARGS)

test: $(ready)
	.venv/bin/pytest $(ARGS)

lint: $(ready)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports

types: $(ready)
	.venv/bin/mypy core/daskbridge $(wildcard adapters/*/daskbridge_* adapters/*/toy_* examples/third_party/*/daskbridge_*)

check:
	.ci/run

format: $(ready)
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean:
	rm -rf .venv .venvs .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(ready): pyproject.toml requirements-dev.txt
	.ci/set-up .venv --requirement requirements-dev.txt
	@touch $@
