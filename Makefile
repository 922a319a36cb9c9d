# crossover: `make bench` measures this machine, `make test` runs the tests. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-from
EXTRAS := all,test
PROFILE ?= quick
PIP_INSTALL := python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

# An environment whose interpreter is gone, or that was made in another folder, is stale.
ifneq ($(CURDIR),$(shell $(BIN)/python -c "print(open('$(STAMP)').read().strip())" 2>/dev/null))
.PHONY: $(STAMP)
endif

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

# The stamp is written last: an installation that was interrupted is begun anew.
$(STAMP): pyproject.toml constraints.txt
	@new_enough='import sys; sys.exit(sys.version_info < (3, 11))'; \
	for python in $${PYTHON:-python3 python3.13 python3.12 python3.11 python} none; do \
	  "$$python" -c "$$new_enough" 2>/dev/null && break; done; \
	[ "$$python" != none ] || { \
	  echo "crossover needs Python 3.11 or newer, and $${PYTHON:-every python3 in PATH} is not:" \
	    "install it, or say where it is: make PYTHON=/path/to/python3.13" >&2; exit 2; }; \
	echo "making $(VENV) with $$("$$python" --version)"; \
	rm -rf $(VENV); \
	"$$python" -m venv $(VENV) || { echo "could not make $(VENV): is Python's venv module installed (python3-venv)?" >&2; exit 2; }; \
	$(BIN)/$(PIP_INSTALL) '.[$(EXTRAS)]'; \
	echo '$(CURDIR)' > $(STAMP)

.PHONY: setup
setup: $(STAMP) ## Make or renew the environment, if it is missing or stale

.PHONY: bench
bench: $(STAMP) ## Measure this machine (PROFILE=quick) and report
	@$(BIN)/crossover run --profile $(PROFILE)
	@$(BIN)/crossover report latest

.PHONY: smoke
smoke: ## Half a minute: does everything work?
	@$(MAKE) bench PROFILE=smoke

.PHONY: compare
compare: $(STAMP) ## Compare two runs: make compare A=run B=run
	@$(BIN)/crossover compare $(A) $(B)

.PHONY: gate
gate: $(STAMP) ## Is HEAD slower than BASE, refs of this repository? MODEL=asyncio BASE=HEAD~1 HEAD=.
	@$(BIN)/crossover gate --base '$(or $(BASE),HEAD~1)' --head '$(or $(HEAD),.)' --model $(or $(MODEL),asyncio) $(FLAGS)

.PHONY: gate-ci
gate-ci: $(STAMP) ## The working tree against the parent commit, shortly, and a proof that a gate can fail
	@$(BIN)/python -m bench.trials.gate --parent --prove

.PHONY: test
test: $(STAMP) ## Run the tests, TESTERS=3 at a time: most of their time they wait
	@$(BIN)/python -m pytest --numprocesses $(or $(TESTERS),3) -p no:benchmark

.PHONY: test-all
test-all: ## Run the tests on every Python from 3.11 to 3.13 that is here
	@failed=; for version in 3.11 3.12 3.13; do \
	  for python in python$$version "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python none; do \
	    "$$python" -c pass 2>/dev/null && break; done; \
	  [ "$$python" != none ] || { echo "skipped: no Python $$version here"; continue; }; \
	  echo "== $$("$$python" --version)"; \
	  $(MAKE) test VENV=.venv-$$version PYTHON="$$python" || failed="$$failed $$version"; \
	done; \
	[ -z "$$failed" ] || { echo "failed on Python$$failed" >&2; exit 1; }

.PHONY: lint
lint: $(STAMP) ## Check style and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: types
types: $(STAMP) ## Check types
	@$(BIN)/mypy

.PHONY: check
check: lint types test ## lint + types + test

.PHONY: microbench
microbench: $(STAMP) ## Time the hot paths one by one (pytest-benchmark), each for TIME=1 second
	@$(BIN)/python -m pytest tests/benchmarks --override-ini 'norecursedirs=.*' \
	  --benchmark-sort=name --benchmark-max-time=$(or $(TIME),1)

# What the trials below compare with. Needs Debian's apt-get and the right to use it.
.PHONY: system-packages
system-packages: ## Install nginx, wrk, curl and a browser with apt-get
	@missing=; for tool in nginx wrk curl; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	for browser in chromium chromium-browser google-chrome none; do command -v $$browser >/dev/null && break; done; \
	[ "$$browser" != none ] || missing="$$missing chromium"; \
	[ -n "$$missing" ] || exit 0; \
	command -v apt-get >/dev/null || { echo "no apt-get here: install$$missing by hand" >&2; exit 2; }; \
	as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
	$$as_root apt-get update -q; \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $${missing/nginx/nginx-light}

$(VENV)/.stacks: $(STAMP)
	@$(BIN)/$(PIP_INSTALL) '.[stacks]'
	@touch $@

.PHONY: stacks
stacks: $(VENV)/.stacks ## Install the production servers of servers/stacks.toml

# Two of them are looked for only by `make bench-generator`, which leaves out what is not there.
.PHONY: load-generators
load-generators: $(STAMP) system-packages ## Install hey (apt-get) and autocannon (npm), to compare with
	@command -v hey >/dev/null || { \
	  as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
	  $$as_root apt-get update -q; $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q hey; }
	@[ -x $(VENV)/node/node_modules/.bin/autocannon ] || { \
	  command -v npm >/dev/null || { echo "npm is missing: autocannon is left out" >&2; exit 0; }; \
	  npm install --silent --no-fund --no-audit --prefix $(VENV)/node autocannon; }

.PHONY: bench-generator
bench-generator: $(STAMP) ## The generator: its cost against wrk's, punctuality, exactness (PAIRS=15)
	@failed=0; \
	$(BIN)/python -m bench.trials.cost --pairs $(or $(PAIRS),15) $(FLAGS) || failed=$$?; \
	$(BIN)/python -m bench.trials.punctuality --windows $(or $(WINDOWS),10) $(FLAGS) || failed=$$?; \
	$(BIN)/python -m bench.trials.exactness $(FLAGS) || failed=$$?; \
	exit $$failed

.PHONY: bench-scale
bench-scale: $(STAMP) ## CONNECTIONS=15000 at once from one generator, and MINUTES=10 at 10,000 req/s
	@$(BIN)/python -m bench.trials.scale --connections $(or $(CONNECTIONS),15000) --minutes $(or $(MINUTES),10) $(FLAGS)

.PHONY: bench-drivers
bench-drivers: $(VENV)/.stacks ## Drivers against production servers of their family (PAIRS=15)
	@$(BIN)/python -m bench.trials.drivers --pairs $(or $(PAIRS),15) $(FLAGS)

.PHONY: bench-effort
bench-effort: $(STAMP) ## Rounds where intervals are wide against every point in every round (RUNS=1)
	@$(BIN)/python -m bench.trials.effort --runs $(or $(RUNS),1) $(FLAGS)

.PHONY: bench-statistics
bench-statistics: $(STAMP) ## Intervals, verdicts and crossovers against simulated truths (SIMULATIONS=4000)
	@$(BIN)/python -m bench.trials.statistics --simulations $(or $(SIMULATIONS),4000) $(FLAGS)

.PHONY: bench-report
bench-report: $(STAMP) ## Time and memory of the report of a run of 10,000 slices
	@$(BIN)/python -m bench.trials.report $(FLAGS)

.PHONY: bench-page
bench-page: $(STAMP) ## Size of the report and how soon it can be used, in a browser, for a large run too
	@$(BIN)/python -m bench.trials.browser $(FLAGS)

.PHONY: trial-kill
trial-kill: $(STAMP) ## SIGKILL the harness at random moments; nothing may be left (TIMES=10)
	@$(BIN)/python -m bench.trials.kill --times $(or $(TIMES),10)

.PHONY: trial-resume
trial-resume: $(STAMP) ## SIGKILL a run TIMES=100 times, each time going on with it; nothing may be lost
	@$(BIN)/python -m bench.trials.resume --times $(or $(TIMES),100)

.PHONY: trial-gate
trial-gate: $(STAMP) ## Is the gate wrong? GATES=1 real ones of KIND=aa, cpu, tail or noise, each up to 3 minutes
	@$(BIN)/python -m bench.trials.gate $(or $(KIND),aa) --gates $(or $(GATES),1) $(FLAGS)

.PHONY: trial-gate-count
trial-gate-count: $(STAMP) ## Put the counts of all gates of trial-gate into docs/ci.md
	@$(BIN)/python -m bench.trials.gate --count

.PHONY: trial-churn
trial-churn: $(STAMP) ## Clients come and go; every model must give back what they took (CONNECTIONS=10000)
	@$(BIN)/python -m bench.trials.churn --connections $(or $(CONNECTIONS),10000)

.PHONY: trial-upstream
trial-upstream: $(STAMP) ## The upstream holds CALLS=15000 calls at once, and tells its CPU a call
	@$(BIN)/python -m bench.trials.upstream --calls $(or $(CALLS),15000)

.PHONY: readme
readme: $(STAMP) ## Write README's picture and sentences from a committed run (RUN=results/reference/quick)
	@$(BIN)/python -m bench.present.readme $(RUN)

.PHONY: constraints
constraints: $(STAMP) $(VENV)/.stacks ## Write down the exact versions installed now
	@{ echo "# The exact versions that were tested. Made by 'make constraints'."; \
	  $(BIN)/python -m pip freeze --all --exclude pip --exclude wheel --exclude-editable; } > constraints.txt.new && mv constraints.txt.new constraints.txt && touch $(STAMP) $(VENV)/.stacks

.PHONY: clean
clean: ## Remove environments and caches, keep results
	@rm -rf $(VENV) .venv-3.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks *.egg-info build
