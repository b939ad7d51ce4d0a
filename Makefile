# Every command sets itself up on its first call. ARGS goes on to the command behind a target:
#   make train ARGS="--tickers AAPL MSFT --forward-days 20"

PYTHON := .venv/bin/python
ARGS ?=
PORT ?= 5000
RUN ?=
TICKER ?=
# Those of the guide first, as its experiments A, B and C; then your own. A file named twice counts once.
GUIDE := $(wildcard $(addprefix experiments/,conservative.yaml optimized.yaml aggressive.yaml))
EXPERIMENTS ?= $(if $(findstring --sweep,$(ARGS)),,$(GUIDE) experiments/*.yaml)
WORKERS ?= 2

.DEFAULT_GOAL := help

# Costs two milliseconds when the environment holds what requirements.lock asks for.
READY := test -x $(PYTHON) && cmp -s requirements.lock .venv/requirements.lock
SET_UP := @{ $(READY); } || sh scripts/set_up.sh

.PHONY: help
help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

.PHONY: setup
setup: ## Make or update the environment in .venv (every other target does so by itself)
	$(SET_UP)
	@echo "The environment in .venv is ready."

.PHONY: fetch
fetch: ## Bring the store of Yahoo's bars up to date, and list what it holds
	$(SET_UP)
	$(PYTHON) -m src.v2.fetch $(ARGS)

.PHONY: train
train: ## Train and evaluate a model on the data of config.yaml
	$(SET_UP)
	$(PYTHON) -m src.v2.train $(ARGS)

.PHONY: train-sample
train-sample: ## Train on the bundled sample, without a network
	$(SET_UP)
	$(PYTHON) -m src.v2.train --force-sample $(ARGS)

.PHONY: compare
compare: ## Compare the settings of experiments/ on the same folds, or ARGS="--sweep label.forward_days=5,21,60"
	$(SET_UP)
	$(PYTHON) -m src.v2.compare $(EXPERIMENTS) $(ARGS)

.PHONY: tune
tune: ## Search hyperparameters, and confirm the winner on folds kept out
	$(SET_UP)
	$(PYTHON) -m src.v2.tune $(ARGS)

.PHONY: audit
audit: ## Prove on your own data and features that nothing leaks
	$(SET_UP)
	$(PYTHON) -m src.v2.audit $(ARGS)

.PHONY: report
report: ## Write the newest run's report again, or that of RUN=<run id> from MLflow
	$(SET_UP)
	$(PYTHON) -m src.v2.report $(if $(RUN),--run '$(subst ','\'',$(RUN))') $(ARGS)

.PHONY: predict
predict: ## Rank the tickers by the champion, or by the newest model
	$(SET_UP)
	$(PYTHON) -m src.v2.predict $(ARGS)

.PHONY: promote
promote: ## Make the challenger the champion, if the gate lets it through
	$(SET_UP)
	$(PYTHON) -m src.v2.promote $(ARGS)

.PHONY: predict-ticker
predict-ticker: ## Show one row of the ranking: make predict-ticker TICKER=AAPL
	$(SET_UP)
	@test -n '$(subst ','\'',$(TICKER))' || { echo "error: name a ticker: make predict-ticker TICKER=AAPL" >&2; exit 2; }
	$(PYTHON) -m src.v2.predict --tickers '$(subst ','\'',$(TICKER))' $(ARGS)

.PHONY: monitor
monitor: ## Check the model in use: predictions against what came, drift, missing bars
	$(SET_UP)
	$(PYTHON) -m src.v2.monitor $(ARGS)

.PHONY: serve
serve: ## Answer requests for forecasts on this machine, on PORT (5001)
	$(SET_UP)
	$(PYTHON) -m src.v2.serve $(if $(filter-out file,$(origin PORT)),--port $(PORT)) $(ARGS)

.PHONY: mlflow
mlflow: ## Serve MLflow's UI on this machine, on PORT (5000)
	$(SET_UP)
	$(PYTHON) -m src.v2.runs --ui --port $(PORT) $(ARGS)

.PHONY: runs
runs: ## List the recorded runs and their metrics
	$(SET_UP)
	$(PYTHON) -m src.v2.runs $(ARGS)

.PHONY: test
test: ## Run the tests and the examples in docstrings, on WORKERS (2) processes
	$(SET_UP)
	$(PYTHON) -m pytest -n $(WORKERS) $(ARGS)

.PHONY: test-slow
test-slow: ## Run the tests that take minutes
	$(SET_UP)
	$(PYTHON) -m pytest -m slow --timeout 1800 $(ARGS)

.PHONY: bench
bench: ## Measure what things cost, and write benchmarks/RESULTS.md (ARGS="--quick" in seconds)
	$(SET_UP)
	$(PYTHON) -m benchmarks.run $(ARGS)

.PHONY: lint
lint: ## Check style, format and types
	$(SET_UP)
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy

.PHONY: format
format: ## Format the code, and mend what ruff can mend by itself
	$(SET_UP)
	$(PYTHON) -m ruff check --fix-only --quiet
	$(PYTHON) -m ruff format

.PHONY: clean
clean: ## Remove the caches of Python and of the tools; results stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src scripts -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: clean-all
clean-all: clean ## Remove the environment and all results too; asks first (or CONFIRM=yes)
	@CONFIRM="$(CONFIRM)" sh scripts/clean_all.sh
