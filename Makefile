# Two commands: `make reports` and `make test`. Conda users: activate the environment and add `VENV=`.
VENV ?= .venv
PROFILE ?= quick
STUDY ?=
JOBS ?= 1
PYTHON ?= python3
STUDIES = $(or $(STUDY),$(filter-out slurm,$(basename $(notdir $(wildcard params/$(PROFILE)/*.yaml)))))

ifeq ($(strip $(VENV)),)
BIN :=
READY :=
else
BIN := $(VENV)/bin/
READY := $(VENV)/.ready
endif
SLURM ?=
SEEDS ?= 1
CLUSTER = $(if $(SLURM),--executor slurm --jobs $(JOBS) --slurm-status-command squeue --slurm-no-account --latency-wait 60 --slurm-logdir build/slurm,)
SNAKEMAKE = $(BIN)python -m snakemake --cores all --resources slots=$(JOBS) $(CLUSTER) --keep-going --nolock --rerun-incomplete --rerun-triggers mtime --quiet rules progress host
RUN_TESTS = $(BIN)python -m pytest -q

.PHONY: help reports publish test smoke test-all chaos golden lab bench lock clean
help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12
	@echo "variables: PROFILE=smoke|quick|full (quick)  STUDY=name (all)  JOBS=n (1; side by side, they divide the cores)  SEEDS=n (1; more: repeats)  SLURM=1  VENV=folder (.venv; empty: the active environment)"

reports: $(READY)  ## run the studies that are out of date and render their pages into reports/$(PROFILE)
	@$(BIN)python -m lib.pairs check
	@$(SNAKEMAKE) --config profile=$(PROFILE) "studies=$(STUDIES)" jobs=$(JOBS) seeds=$(SEEDS) $(if $(SLURM),slurm=1,)
	@echo "reports/$(PROFILE)/index.html"
	@$(BIN)python -m lib.cli receipt --profile $(PROFILE)

publish: $(READY)  ## write page and results into reports/$(PROFILE) from the last run, if it was clean and its commit is in history
	@$(BIN)python -m lib.cli publish --profile $(PROFILE) $(STUDY)

test: $(READY)  ## lint, pairs, smoke, unit tests (no GPU)
	$(BIN)ruff check .
	$(BIN)ruff format --check .
	$(BIN)python -m lib.pairs check --clean
	$(MAKE) --no-print-directory smoke
	$(RUN_TESTS) -m "not slow and not browser" tests

smoke: $(READY)  ## run every notebook at smoke, compare with tests/golden, run every cell once more in nbval
	$(MAKE) --no-print-directory reports PROFILE=smoke STUDY= JOBS=2
	$(RUN_TESTS) tests/test_golden.py
	OMP_NUM_THREADS=1 $(RUN_TESTS) --nbval-lax --nbval-current-env notebooks

test-all: $(READY)  ## also what takes minutes: browser, kill harness
	$(BIN)python -m pip install -q -e ".[browser]" $(if $(VENV),,--dry-run)
	$(RUN_TESTS) tests

chaos: $(READY)  ## kill `make reports` twenty times, repeat it, compare with an undisturbed run (smoke)
	$(BIN)python scripts/chaos.py

golden: $(READY)  ## write tests/golden anew from the smoke runs (never in CI)
	$(MAKE) --no-print-directory reports PROFILE=smoke JOBS=2
	$(BIN)python tests/golden_compare.py $(STUDY)

lab: $(READY)  ## open JupyterLab with the notebook pairs; those that were run, with their outputs, lie in build/<profile>/<study>/
	@echo "run already, outputs and all: $(or $(filter-out %/running.ipynb,$(wildcard build/*/*/*.ipynb)),none yet (make reports writes build/<profile>/<study>/<study>.ipynb))"
	$(BIN)jupyter lab --LabApp.default_url=/lab/tree/notebooks

bench: $(READY)  ## side-by-side ratios into benchmarks/README.md
	$(BIN)python -m benchmarks

lock: $(READY)  ## write requirements.lock from the versions installed in VENV
	$(BIN)python -m pip freeze --exclude-editable | grep -v "^live-reports" | sed 's/^torch==\([0-9.]*\).*/torch==\1/' > requirements.lock

clean:  ## remove build/, runs/ and caches (not .venv, not reports/)
	rm -rf build/* runs .snakemake .pytest_cache .ruff_cache .hypothesis

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	mkdir -p $(VENV)/etc/ipython  # no hint on TCP from the kernels of this environment: they listen on this machine only
	echo '{"IPKernelApp": {"log_level": 40}}' > $(VENV)/etc/ipython/ipython_kernel_config.json
	$(BIN)python -m pip install -q --disable-pip-version-check -r requirements.lock
	$(BIN)python -m pip install -q --disable-pip-version-check --no-deps -e .
	touch $@
