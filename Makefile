# The front door. `make` alone lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Where the environment forbids bytecode, every one of the many processes would compile torch anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PARTS := contracts operator worker inspectors/gateway devcluster testkit
WEB := inspectors/web
WEB_SOURCES := $(shell find $(WEB)/src $(WEB)/public -type f) $(addprefix $(WEB)/,index.html vite.config.ts)
# The virtual environment's stamp changes with the locks and with the parts' own metadata.
STAMP := $(VENV)/.stamp-$(shell cat locks/bootstrap.txt locks/dev.txt $(PARTS:%=%/pyproject.toml) Makefile 2>/dev/null | sha256sum | cut -c1-16)
DEVCLUSTER := $(BIN)/python -m diffrun_devcluster
# Each process of the end-to-end tests has an installation of its own: they mostly wait, for pods and for people.
E2E_PROCESSES ?= 4
# `$(call timed,title,command)`: run a phase, say how long it took.
timed = printf '\n== %s\n' '$(1)'; started=$$SECONDS; $(2); printf '== %s: %d s\n' '$(1)' $$((SECONDS - started))

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(STAMP) $(WEB)/dist/index.html ## A whole run on a real cluster: download, preview, approve, full batch (MODEL=…, APPROVE=auto)
	@$(call timed,cluster,$(DEVCLUSTER) up)
	@$(call timed,images,$(DEVCLUSTER) images)
	@eval "$$($(DEVCLUSTER) env)"; $(BIN)/python -m demo

.PHONY: test
test: setup $(WEB)/dist/index.html ## Everything: lint, unit tests, Redis, and the end-to-end suite on the cluster
	@$(call timed,lint,$(MAKE) --no-print-directory lint)
	@$(call timed,unit tests,$(MAKE) --no-print-directory test-unit)
	@$(call timed,browser tests,$(MAKE) --no-print-directory test-browser)
	@$(call timed,cluster,$(DEVCLUSTER) up)
	@$(call timed,images,$(DEVCLUSTER) images)
	@eval "$$($(DEVCLUSTER) env)"; \
	$(call timed,Redis and Hub and chart tests,$(BIN)/python -m pytest tests/integration tests/chart); \
	$(call timed,end-to-end tests,$(BIN)/python -m pytest tests/e2e -n $(E2E_PROCESSES) --dist loadfile --durations=10)

.PHONY: test-unit
test-unit: $(STAMP) $(WEB)/node_modules/.stamp ## The unit tests: no cluster, root, GPU or network
	$(BIN)/python -m pytest tests/unit -n auto --dist worksteal
	npm --prefix $(WEB) test --silent -- --no-isolate

.PHONY: test-browser
test-browser: setup $(WEB)/dist/index.html tests/browser/node_modules/.stamp ## The pages in a real Chromium
	npm --prefix tests/browser test --silent

.PHONY: screenshots
screenshots: setup $(WEB)/dist/index.html tests/browser/node_modules/.stamp ## Pictures of every page, to out/screenshots
	@PYTHON="$(CURDIR)/$(BIN)/python" tools/screenshots

.PHONY: lint
lint: $(STAMP) $(WEB)/dist/index.html ## ruff, mypy, the import contracts; tsc, Biome, the bundle's types and size
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	npm --prefix $(WEB) run --silent typecheck
	npm --prefix $(WEB) run --silent lint
	PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix $(WEB) run --silent types:check
	npm --prefix $(WEB) run --silent size

.PHONY: up
up: $(STAMP) ## Bring the development cluster up (CLUSTER=existing: use the current context)
	@$(DEVCLUSTER) up

.PHONY: images
images: $(STAMP) $(WEB)/dist/index.html ## Bring the project's images into the cluster; seconds after a change of code
	@$(DEVCLUSTER) images

.PHONY: down
down: $(STAMP) ## Take the cluster away and keep the cache (PURGE=1: the cache too)
	@$(DEVCLUSTER) down

.PHONY: bench
bench: setup $(WEB)/dist/index.html tests/browser/node_modules/.stamp ## The benchmarks
	@for script in benchmarks/*.py; do printf '\n== %s\n' "$$script"; $(BIN)/python "$$script"; done

.PHONY: shell-env
shell-env: $(STAMP) ## Shell lines for kubectl and helm: eval "$(make -s shell-env)"
	@$(DEVCLUSTER) env

.PHONY: setup
setup: $(STAMP) ## The virtual environment, and the system packages that the tests need
	@$(DEVCLUSTER) setup

# What npm has installed, by its lock file.
%/node_modules/.stamp: %/package-lock.json
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null \
		|| { echo "error: Node.js 20 or newer is needed for the pages, with npm beside it." >&2; exit 1; }
	@echo "→ npm packages of $* (about 10 s)"
	@# Not `npm ci`: it refuses a lock that lacks what a registry does not carry for other platforms.
	@npm install --no-save --prefix $* --no-audit --no-fund --loglevel=error
	@touch $@

$(WEB)/dist/index.html: $(WEB_SOURCES) $(WEB)/node_modules/.stamp
	@echo "→ The pages' bundle (about 3 s)"
	@npm --prefix $(WEB) run --silent build
	@touch $@

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: Python 3.11 or newer is needed; PYTHON=… names another one." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
			&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv; } \
		|| { echo "error: Python's venv module is missing. Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "→ Python environment (about 2 min at first: torch brings CUDA)"
	@[ -x $(BIN)/pip ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m uv --version 2>/dev/null | grep -q '^uv ' \
		|| $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r locks/bootstrap.txt
	@$(BIN)/python -m uv pip sync --quiet --python $(BIN)/python --require-hashes locks/bootstrap.txt locks/dev.txt
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation \
		$(foreach part,$(PARTS),$(if $(wildcard $(part)/pyproject.toml),--editable ./$(part)))
	@rm -f $(VENV)/.stamp-*; touch $@
