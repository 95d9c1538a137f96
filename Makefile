# Two commands do everything: `make demo` and `make test`. Both make what they need first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test fuzz setup packages images benchmark lint clean lock

demo: setup
	$(BIN)/toolkit demo

test: setup
	$(BIN)/toolkit lab check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pytest -m "not benchmark" -n 2 --dist loadgroup
	$(BIN)/pytest --nbmake notebooks

# 100,000 cases against OxiDD and against brute force; CASES=, SEED= and JOBS= change what is asked.
fuzz: setup
	$(BIN)/python -m tests.packets.fuzz --cases $(or $(CASES),100000) --seed $(or $(SEED),0) --jobs $(or $(JOBS),2)

setup: packages $(VENV)/.ready

# The Debian packages: installed where root and apt allow, named where not.
packages:
	@sh .ci/packages

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 11) <= v[:2] <= (3, 13))' || { \
		echo "Python 3.11, 3.12 or 3.13 is needed, and $(PYTHON) is not; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

# For the containerlab backend: needs a container engine. BASE=image takes another base than debian:bookworm-slim.
images:
	@BASE="$(BASE)" MIRROR="$(MIRROR)" sh labs/images/build

# The engines beside ours are installed for it alone (extra `bench`); where they cannot be had, their columns stay empty.
benchmark: setup
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -e '.[bench]'
	$(BIN)/pytest -m benchmark -s tests/benchmarks

# Needs the uv program; versions move only here.
lock:
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
