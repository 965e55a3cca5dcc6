.DEFAULT_GOAL := help
.PHONY: help run test lab gallery bench clean

PYTHON ?= python3
PROFILE ?= demo
BIN := .venv/bin
READY := .venv/.ready
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)  # containers know no other user; it listens here alone

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: $(READY) ## the recipe and its evaluation, notebooks 00 to 06, with PROFILE (demo); runs/PROFILE/report.html
	$(BIN)/cpack run $(PROFILE) --to 06
	$(BIN)/cpack report $(PROFILE)

test: $(READY) ## style, notebook contract and all tests
	@.ci/chromium
	@.ci/slurm
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pytest

lab: $(READY) ## open JupyterLab
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/jupyter lab --ServerApp.root_dir="$(CURDIR)" $(AS_ROOT)

gallery: $(READY) ## every notebook with PROFILE, executed, as a site of HTML pages
	$(BIN)/cpack tidy
	$(BIN)/cpack run $(PROFILE)
	$(BIN)/cpack gallery $(PROFILE)

bench: $(READY) ## side-by-side measurements against named peers, into results/ (an hour)
	@for file in benchmarks/*.py; do \
	  [ -e "$$file" ] || { echo "no benchmarks yet"; break; }; \
	  echo "bench: $$file"; $(BIN)/python "$$file" || exit 1; \
	done

clean: $(READY) ## empty the notebooks of outputs, remove caches; runs/ and .venv stay
	$(BIN)/cpack tidy
	rm -rf .pytest_cache .ruff_cache .hypothesis
	find . \( -path ./.venv -o -path ./.git -o -path ./runs \) -prune \
	  -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "$(PYTHON) is not Python 3.11 to 3.13; name one that is: make PYTHON=python3.12"; exit 1; }
	@echo "setting up .venv with the packages of constraints.txt (once, some minutes)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
