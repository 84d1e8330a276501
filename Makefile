# make help lists the targets. Overridable: PYTHON, VENV, PIP_FLAGS, PYTEST_FLAGS, SNAKEMAKE_FLAGS.
# On a machine without a GPU the CUDA build of torch (gigabytes) is avoided with
#   make demo PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
VENV ?= .venv
PIP_FLAGS ?=
# All tests of a file run in one process, which makes once what they share. pytest-xdist's groups would do that for
# chosen tests only, and pytest 9.2 ignores them.
PYTEST_FLAGS ?= -n auto --dist loadfile --no-loadscope-reorder
SNAKEMAKE_FLAGS ?=
SLURM_PYTEST_FLAGS ?=

BIN := $(abspath $(VENV))/bin
INSTALLED := $(VENV)/.installed
CODE := src scripts tests $(wildcard benchmarks)
RULES := Snakefile $(wildcard workflow/rules/*.smk)

# Snakemake's rules, and tests that call commands, find those of the environment.
INSIDE := PATH="$(BIN):$$PATH"

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test test-quick test-long test-slurm coverage lint format schema lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

# Byte code is compiled after the installation, on all cores; pip would take one. A few packages carry
# files that no Python compiles: not a reason to stop.
$(INSTALLED): envs/requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "jrflow needs Python 3.11 or newer, but '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo absent)." \
	    "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "Python's venv module is incomplete: apt-get install python3-venv" >&2; exit 1; }
	@if [ -L "$(VENV)" ]; then \
	  echo "$(VENV) is a symbolic link to $$(readlink "$(VENV)"), whose content would be cleared." \
	    "Remove the link, or name another folder: make VENV=FOLDER $(MAKECMDGOALS)" >&2; exit 1; fi
	@echo "Installing into $(VENV): some minutes, once."
	@begin=$$(date +%s) && \
	$(PYTHON) -m venv --clear $(VENV) && \
	"$(BIN)/python" -m pip install --quiet --quiet --no-compile $(PIP_FLAGS) -r envs/requirements.lock && \
	{ "$(BIN)/python" -m compileall -q -j 0 $(VENV)/lib >/dev/null 2>&1 || true; } && \
	"$(BIN)/python" -m pip install --quiet --quiet --no-deps --no-build-isolation -e . && \
	echo $$(($$(date +%s) - begin)) > $@

install: $(INSTALLED) ## create the environment in .venv from envs/requirements.lock

demo: $(INSTALLED) ## the whole pipeline, small, on this machine: results/demo/report.html
	@begin=$$(date +%s) && $(INSIDE) snakemake $(SNAKEMAKE_FLAGS) && total=$$(($$(date +%s) - begin)) && \
	echo && echo "Where the time went (s):" && \
	find results/demo/benchmarks -name '*.tsv' | while read -r table; do \
	  awk -v stage="$${table#results/demo/benchmarks/}" \
	    'FNR == 2 { sub(/\.tsv$$/, "", stage); printf "%9.1f  %s\n", $$1, stage }' "$$table"; \
	done | sort -rn && \
	printf '%9d  %s\n' "$$(cat $(INSTALLED))" "installation (once)" "$$total" "this run of the pipeline" && \
	echo && echo "Report: $(CURDIR)/results/demo/report.html"

test: $(INSTALLED) ## the whole test suite
	$(INSIDE) OMP_NUM_THREADS=1 python -m pytest $(PYTEST_FLAGS)

test-quick: $(INSTALLED) ## the tests that take no more than moments
	$(INSIDE) OMP_NUM_THREADS=1 python -m pytest $(PYTEST_FLAGS) -m "not slow"

# Property-based tests draw other examples at every run.
test-long: $(INSTALLED) ## what takes many minutes: a hundred kills, a thousand examples of each property
	$(INSIDE) OMP_NUM_THREADS=1 python -m pytest $(PYTEST_FLAGS) -m "long or hypothesis" --hypothesis-profile=long

# Compiled kernels are not seen by the measurement, so their lines count as missing.
coverage: $(INSTALLED) ## the whole test suite, and which lines of src no test runs
	$(INSIDE) OMP_NUM_THREADS=1 python -m pytest $(PYTEST_FLAGS) --cov --cov-report=term-missing:skip-covered

# Most tests wait for Slurm: three at once, and after them those that change the whole cluster, whether or not
# the first have passed.
test-slurm: $(INSTALLED) ## the tests on a real Slurm, made for them on this machine; needs root
	tests/slurm/cluster.sh up
	@trap 'tests/slurm/cluster.sh down' EXIT; failed=0; \
	$(INSIDE) OMP_NUM_THREADS=1 python -m pytest tests/slurm -n 3 --dist load -m "not alone" $(SLURM_PYTEST_FLAGS) || failed=1; \
	$(INSIDE) OMP_NUM_THREADS=1 python -m pytest tests/slurm -m alone $(SLURM_PYTEST_FLAGS) || failed=1; \
	exit $$failed

lint: $(INSTALLED) ## format, rules, types, workflow; changes nothing
	"$(BIN)/ruff" format --check $(CODE)
	"$(BIN)/ruff" check $(CODE)
	"$(BIN)/mypy"
	$(INSIDE) snakefmt --check --compact-diff $(RULES)
# Two lints do not apply: the environment is the project's own, so no rule names one; and rules name the folder of
# scripts by a variable, because a parameter would repeat every step in a clone that was moved.
	@found=$$($(INSIDE) snakemake --lint 2>&1 || true); \
	echo "$$found" | grep -q -e '^Lints for' -e '^Congratulations' || { echo "$$found"; exit 1; }; \
	! echo "$$found" | grep '^    \* ' | grep -v -e 'Specify a conda environment' -e 'uses variable SCRIPTS'

format: $(INSTALLED) ## format the code and repair what can be repaired automatically
	"$(BIN)/ruff" check --fix $(CODE)
	"$(BIN)/ruff" format $(CODE)
	$(INSIDE) snakefmt $(RULES)

schema: $(INSTALLED) ## write config.yaml and its JSON schema from the models
	"$(BIN)/python" -m jrflow.config.schema --fix

lock: ## write envs/requirements.lock with today's versions
	@fresh=$$(mktemp -d) && \
	$(PYTHON) -m venv "$$fresh" && \
	"$$fresh/bin/python" -m pip install --quiet --quiet $(PIP_FLAGS) '.[all,dev]' && \
	{ grep '^#' envs/requirements.lock; \
	  "$$fresh/bin/python" -m pip freeze --all --exclude jrflow --exclude pip | sed 's/+[a-z0-9.]*$$//'; \
	} > envs/requirements.lock.new && \
	mv envs/requirements.lock.new envs/requirements.lock && rm -r "$$fresh"

clean: ## remove the environment and what tools left behind; results stay
	rm -rf $(VENV) build dist .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info
	find src scripts tests -name __pycache__ -type d -prune -exec rm -r {} +
