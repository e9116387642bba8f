# For developers of contit-mcp. You need Python 3.11+ and make. Each target installs its Python packages into .venv; its
# line in `make help` or CONTRIBUTING.md names what else it needs.
#
#   make test PYTHON=python3.12    another interpreter, for a new .venv (make clean removes the old one)
#   make test WORKERS=8            more test processes
#   make lock UPGRADE=--upgrade    newer versions of everything that is pinned

# The newest Python that runs (a pyenv shim may not) and can make environments (on Debian, venv is a separate package).
USABLE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	if $$python -c '$(USABLE)' >/dev/null 2>&1; then echo $$python; break; fi; done)
WORKERS ?= 2
UPGRADE ?=

VENV := .venv
BIN := $(VENV)/bin
NPM_TOOLS := release/npm/node_modules/.package-lock.json
CARD_TESTS := tests/card/node_modules/.package-lock.json
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(VENV)/for-runtime ## Ask two questions through an MCP client, without an account
	@$(BIN)/contit-mcp demo

# More workers than cores, because these tests wait for much of their time.
test card: WORKERS = 4

.PHONY: test
test: $(VENV)/for-test ## Run the tests that have no target of their own, and measure branch coverage
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal --cov

.PHONY: container
container: $(VENV)/for-test ## Build the container image and run it for real, with Docker or Podman (minutes)
	$(BIN)/python -m pytest tests/container

.PHONY: replicas
replicas: $(VENV)/for-test ## Ask 1,000 questions of two replicas behind nginx while they and Redis are killed (minutes)
	$(BIN)/python -m pytest tests/replicas

# Each client in its pinned version, from npm or with pip, below .hosts/; all of them are 3.6 GB and 4 minutes the first time.
CLIENTS ?=
.PHONY: hosts
hosts: $(VENV)/for-test ## Try the real hosts and clients against contit-mcp (minutes; CLIENTS="codex inspector": these alone)
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal tests/hosts $(if $(CLIENTS),-k "$$(echo $(subst -,_,$(CLIENTS)) | sed 's/ / or /g')")

.PHONY: signin
signin: $(VENV)/for-test ## Sign in at a real identity provider (minutes; CLIENTS="python-sdk typescript-sdk": these alone)
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal $(if $(CLIENTS),$(patsubst %,tests/signin/test_%.py,$(subst -,_,$(CLIENTS))),tests/signin)

.PHONY: card
card: $(VENV)/for-test $(CARD_TESTS) ## Try the answer card in real hosts, in headless Chromium (a minute; Node 20+ and chromium)
	node --test --test-concurrency=$(WORKERS) --test-timeout=120000 --test-reporter=dot tests/card/*.test.mjs

.PHONY: card-page
card-page: $(VENV)/for-test $(NPM_TOOLS) ## Build the answer card's one file from contit_mcp/server/card_page/ (Node 18+)
	@$(BIN)/python -m release.card

.PHONY: conformance
conformance: $(VENV)/for-test ## Run the official conformance suite, which comes from npm
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadgroup tests/conformance

.PHONY: check format-check lint layers types spelling dependencies scripts docs-check card-check measures
check: format-check lint layers types spelling dependencies scripts docs-check card-check measures ## Run all static checks: format, lint, types, generated pages and others
format-check: $(VENV)/for-check
	$(BIN)/ruff format --check
lint: $(VENV)/for-check
	$(BIN)/ruff check
layers: $(VENV)/for-check
	$(BIN)/lint-imports --no-logo
types: $(VENV)/for-check
	$(BIN)/mypy
spelling: $(VENV)/for-check
	$(BIN)/codespell
dependencies: $(VENV)/for-check
	$(BIN)/deptry .
scripts: $(VENV)/for-check
	$(BIN)/hadolint Dockerfile
	$(BIN)/shellcheck .ci/run configs/container/contit-mcp

# A script in docs/generators writes a page from the code. With --check it writes nothing, and fails if the page is stale.
GENERATORS := $(wildcard docs/generators/*.py)
docs-check: $(VENV)/for-check
	@$(BIN)/python -m release.registry --check
	@for script in $(GENERATORS); do $(BIN)/python $$script --check || { echo 'hint: make docs' >&2; exit 1; }; done

# Without npm the check is skipped, with a note.
card-check: $(VENV)/for-check $(if $(shell command -v npm),$(NPM_TOOLS))
	@$(BIN)/python -m release.card --check

# The size of the package and of the path of a question, each with its limit.
measures: $(VENV)/for-check
	@$(BIN)/python -m tests.rules.measures

.PHONY: docs
docs: $(VENV)/for-check ## Write the generated pages of the documentation, and server.json
	@$(BIN)/python -m release.registry
	@for script in $(GENERATORS); do $(BIN)/python $$script || exit 1; done

.PHONY: snapshot
snapshot: $(VENV)/for-test ## Rewrite tests/server/tools.snapshot.json, the schemas of the tools
	$(BIN)/python -m tests.server.snapshot

.PHONY: format
format: $(VENV)/for-check ## Format the code, and fix what ruff can fix
	$(BIN)/ruff check --fix --exit-zero --quiet
	$(BIN)/ruff format

.PHONY: bundle
bundle: $(VENV)/for-release $(NPM_TOOLS) ## Build the bundle for Claude Desktop into dist/, and start it as a host does (Node 18+)
	@$(BIN)/python -m release.bundle

.PHONY: release-check
release-check: $(VENV)/for-release ## Build wheel and sdist into dist/, and install and try them in every way (minutes)
	@$(BIN)/python -m release.check

.PHONY: bench
bench: $(VENV)/for-test ## Measure speed against the SDK's empty server and a plain bridge; fails if a goal is missed (five minutes)
	$(BIN)/python -m benchmarks

.PHONY: soak
soak: $(VENV)/for-test ## Ten minutes of mixed calls, faults and leaving clients; fails if threads, files or memory leak
	$(BIN)/python -m benchmarks.soak

.PHONY: mutants
mutants: $(VENV)/for-mutants ## Change the core in many small ways, and list the changes that no test notices (minutes)
	rm -rf mutants
	$(BIN)/mutmut run
	$(BIN)/mutmut results

# Each file is constrained by earlier ones, so that a package has one version everywhere. The container image installs
# requirements.lock, which is for its Python on Linux only.
COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --custom-compile-command 'make lock'
LOCK := $(COMPILE) --universal --python-version 3.11
PINS := requirements
.PHONY: lock
lock: $(VENV)/for-lock ## Pin the requirements; versions stay as they are unless UPGRADE=--upgrade
	$(LOCK) $(UPGRADE) $(PINS)/lock.in -o $(PINS)/lock.txt
	$(LOCK) $(UPGRADE) $(PINS)/build.in -o $(PINS)/build.txt
	$(LOCK) $(UPGRADE) pyproject.toml -c $(PINS)/build.txt -o $(PINS)/runtime.txt
	$(LOCK) $(UPGRADE) pyproject.toml --all-extras $(PINS)/test.in -c $(PINS)/runtime.txt -o $(PINS)/test.txt
	$(COMPILE) --python-platform linux --python-version 3.13 $(UPGRADE) pyproject.toml \
		--extra server --extra redis --extra otel -c $(PINS)/test.txt -o requirements.lock
	$(LOCK) $(UPGRADE) pyproject.toml --all-extras $(PINS)/test.in $(PINS)/check.in -c $(PINS)/test.txt -o $(PINS)/check.txt
	$(LOCK) $(UPGRADE) pyproject.toml --all-extras $(PINS)/test.in $(PINS)/mutants.in -c $(PINS)/test.txt -o $(PINS)/mutants.txt
	$(LOCK) $(UPGRADE) pyproject.toml $(PINS)/release.in -c $(PINS)/check.txt -c $(PINS)/lock.txt -c $(PINS)/build.txt \
		-o $(PINS)/release.txt

.PHONY: clean
clean: ## Remove everything that make has created
	rm -rf $(VENV) .hosts .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov \
		mutants build dist release/npm/node_modules tests/card/node_modules
	find benchmarks contit_mcp release tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp file in the environment records what is installed there, so that it is deleted with the environment. --no-deps,
# because the files list every package, and pip fails if one that is listed with an extra has a newer release.
$(VENV)/for-%: requirements/%.txt requirements/build.txt pyproject.toml contit_mcp/__init__.py | $(BIN)/python
	@echo 'Installing requirements/$*.txt and contit-mcp into $(VENV)'
	@$(PIP) install --require-hashes --no-deps -r requirements/build.txt -r requirements/$*.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@test $* = lock || $(PIP) check
	@touch $@

# npm checks the checksums of the lock file, which names no registry, and runs no scripts of packages. `npm ci` would
# refuse a lock file without an optional package for another system.
$(NPM_TOOLS) $(CARD_TESTS): %/node_modules/.package-lock.json: %/package-lock.json
	@command -v npm >/dev/null || { echo 'error: this needs Node 18 or newer with npm' >&2; \
		echo 'hint: install it (on Debian and Ubuntu: apt install nodejs npm)' >&2; exit 1; }
	@npm install --no-save --prefix $* --ignore-scripts --no-audit --no-fund --loglevel error >/dev/null
	@touch $@

# The environment is made again if its interpreter is gone: .venv/bin/python is a dangling link then.
$(BIN)/python:
	@python='$(PYTHON)'; \
	if ! "$${python:-false}" -c '$(USABLE)'; then \
		echo "error: this needs Python 3.11 or newer with its modules venv and ensurepip, and found $${python:-none}" >&2; \
		echo "hint: install one (on Debian and Ubuntu also python3-venv), or name it: make demo PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv --clear $(VENV)
