# SPDX-License-Identifier: Apache-2.0
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ORCH := $(BIN)/orch

.DEFAULT_GOAL := help
.PHONY: help system venv testbed demo check unit test bench reproducible clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

system: # missing system packages; prints the plan when there is something to do
	@$(PYTHON) orchestrator/build/bootstrap.py

venv: system # the pinned Python environment
	@$(PYTHON) orchestrator/build/venv.py $(VENV)

testbed: venv ## build everything, boot the machine once, check it, shut it down
	@$(ORCH) testbed

demo: testbed ## the testbed, a look around in the running machine, then workloads/quickstart.yaml in three worlds
	@$(ORCH) demo
	@$(ORCH) run workloads/quickstart.yaml

.PHONY: nightly
nightly: testbed ## workloads/paper-table.yaml, compared with the night before; one more piece of results/history.csv
	@$(ORCH) nightly workloads/paper-table.yaml

check: venv ## formatting, lint and types
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary

unit: venv ## tests without an emulator (seconds)
	@$(BIN)/pytest -q -n 2 -m "not long" tests/unit

test: check testbed ## check, then all tests: unit and emulator
	@$(BIN)/pytest -q -n 2 -m "not long" tests/unit
	@$(BIN)/pytest -q -n 2 --dist loadgroup --no-loadscope-reorder -m "not alone and not long" --durations 15 tests/emulator
	@$(BIN)/pytest -q -m alone tests/emulator

.PHONY: dictionary
dictionary: venv ## bring the tables of results/README.md up to date with the vocabulary and the schema
	@$(BIN)/python -c "from pathlib import Path; from orchestrator.report.dictionary import update; update(Path('results/README.md'))"

.PHONY: test-long
test-long: testbed ## the tests that `make test` leaves out
	@$(BIN)/pytest -q -n 2 -m long tests/unit
	@$(BIN)/pytest -q -n 2 --dist loadgroup --no-loadscope-reorder -m long tests/emulator

bench: testbed ## boot, restore and counting costs, starts of guests step by step, as medians and ratios
	@$(BIN)/python benchmarks/machine.py
	@$(BIN)/python benchmarks/starts.py
	@PYTHONPATH=tests/emulator $(BIN)/python benchmarks/pretouch.py

.PHONY: bench-rmm
bench-rmm: venv ## what calls into the RMM cost, in instructions by world
	@PYTHONPATH=tests/emulator $(BIN)/python benchmarks/rmm.py $(if $(BESIDE),--beside $(BESIDE))

.PHONY: conformance conformance-mutants
conformance: venv ## the RMM through its public ABI alone, bare metal: RMM=path of another image
	@ORCH_RMM=$(RMM) $(BIN)/pytest -q tests/emulator/test_rmm_abi.py

conformance-mutants: venv ## can those checks fail? each of tests/conformance/defects.yaml in our RMM (15 min)
	@PYTHONPATH=tests/emulator $(BIN)/python tests/conformance/mutants.py $(if $(ONLY),--only "$(ONLY)")

.PHONY: bench-replay
bench-replay: testbed ## one saved moment of a deterministic machine, replayed five times: identical counts
	@$(BIN)/python benchmarks/replay.py

.PHONY: bench-coverage
bench-coverage: venv ## how often intervals hold the truth, and the quickstart comes to a verdict: simulated (10 min)
	@$(BIN)/python benchmarks/coverage.py

.PHONY: bench-law
bench-law: testbed ## what exits cost, and whether that predicts cells that were not seen (an hour; SAVE=1 ships the law)
	@$(BIN)/python benchmarks/law.py $(if $(SAVE),--save)

.PHONY: bench-sweep
bench-sweep: testbed ## throughput of a sweep of 8 boots: one worker, two, a Dask cluster of two (25 min)
	@$(BIN)/python benchmarks/sweep.py

.PHONY: bench-against
bench-against: testbed ## what users wait for, in another checkout and in this one, turn about: OLD=../checkout (25 min)
	@$(BIN)/python benchmarks/against.py $(OLD)

.PHONY: bench-guests
bench-guests: testbed ## creation, boot and end of guests in instructions by world; 20 boots of each
	@$(BIN)/python benchmarks/guests.py

.PHONY: soak soak-kill
soak: testbed ## two realms and a VM under load for 10 min: SECONDS=600
	@$(BIN)/python tests/soak/soak.py --seconds $(or $(SECONDS),600)

.PHONY: soak-run
soak-run: testbed ## one `orch run`, killed ten times at random and resumed: no row lost, none doubled
	@$(BIN)/python tests/soak/soak_run.py

.PHONY: soak-workers
soak-workers: testbed ## a sweep by workers and by a Dask cluster: 20 kills of workers, client, scheduler
	@$(BIN)/python tests/soak/soak_workers.py

.PHONY: soak-keys
soak-keys: venv ## two replicas of the key service on PostgreSQL, 500 clients, one replica killed 20 times
	@PYTHONPATH=tests/unit/shared $(BIN)/python tests/soak/soak_keys.py

soak-kill: testbed ## 100 kills of the VMM, 20 of the emulator; goes on where it was interrupted
	@$(BIN)/python tests/soak/soak_kill.py

reproducible: testbed ## build every artifact again, elsewhere and cold, and compare (15 min)
	@$(BIN)/python benchmarks/reproducible.py

.PHONY: fuzz
FUZZ_SECONDS ?= 600
FUZZ_SEED ?= $(shell date +%s)
fuzz: ## the VMM's devices against guests that do anything: FUZZ_SECONDS=600, CC=clang for libFuzzer
	@mkdir -p .fuzz && tests/fuzz/build.sh .fuzz/device-model
	@echo "seed $(FUZZ_SEED)"
	@case "$(CC)" in \
	clang*) mkdir -p .fuzz/corpus && cd .fuzz && ./device-model -max_total_time=$(FUZZ_SECONDS) -max_len=4096 corpus ;; \
	*) .fuzz/device-model --seed $(FUZZ_SEED) --seconds $(FUZZ_SECONDS) --save .fuzz/crash ;; \
	esac

.PHONY: fuzz-attest
fuzz-attest: venv ## tokens, policies, messages against what reads them: FUZZ_SECONDS=600 each; the corpus stays in .fuzz/attest
	@echo "seed $(FUZZ_SEED)"
	@PYTHONPATH=tests/unit/shared $(BIN)/python tests/fuzz/attest.py --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED)

clean: ## stop the machine, remove its state; the cache stays (orch clean --all removes it)
	@if [ -x $(ORCH) ]; then $(ORCH) clean; fi

distclean: clean ## also remove the Python environment
	@rm -rf $(VENV)
