# The commands for developers and CI. Set-up goes into .venv and is quick if nothing changed.
PYTHON ?= python3
BENCH ?= local
ROUNDS ?= 20
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# AGAIN=1 repeats the failed tests, or all if none are known, one at a time (.ci/run).
CACHE = -o cache_dir=.pytest_cache/$@
WORKERS = $(if $(AGAIN),-n 0 --last-failed,-n $(1))
PYTEST = $(BIN)/pytest -q $(CACHE) $(call WORKERS,2)
# Tests that mostly wait for containers, workers or a page.
PYTEST_WAITING = $(BIN)/pytest -q $(CACHE) $(call WORKERS,3)
ALONE = $(BIN)/pytest -q $(CACHE) -n 0
# With it, each process compiles all modules again: half of the time of the quick loop.
unexport PYTHONDONTWRITEBYTECODE
STAGES := lint test-quick test-dynamodb test-docker test-podman-quick test-cloud test-web

.DEFAULT_GOAL := help

help: ## Print this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 16

# A checkout that was set up before the distribution had its present name has the same files twice.
UNINSTALL_OLD = $(BIN)/pip uninstall --quiet --disable-pip-version-check --yes conducto 2> /dev/null || true

$(READY): pyproject.toml
	@.ci/venv $(PYTHON) $(VENV)
	@$(UNINSTALL_OLD)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev,cloud-test,deploy,infra-test,web-test,docs]'
	@touch $@

# The demo needs only the packages of a user; a complete set-up is used if there is one.
USABLE := $(VENV)/.usable

$(USABLE): pyproject.toml
	@.ci/venv $(PYTHON) $(VENV)
	@test -e $(READY) || { $(UNINSTALL_OLD); }
	@test -e $(READY) || nice -n 10 $(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

setup: $(READY) ## Set up .venv

engine: ## Use a running container engine, or install and start one
	@.ci/engine

# The result of `make web`.
WEB_BUILT := web/conducto_web/built/index.html

# Debian's packages are installed one after the other; then the packages of Python, the base image and
# the web app are made at the same time. The base image takes longest, so the others give way to it.
demo: engine ## Set up, and run the demo pipeline in containers
	@.ci/venv $(PYTHON) $(VENV)
	@test -e $(WEB_BUILT) || .ci/tools web
	@$(MAKE) --no-print-directory -j3 $(USABLE) demo-image demo-app
	$(BIN)/python examples/demo/pipeline.py --local --run

demo-image:
	$(PYTHON) tests/support/stand_ins.py python:3.11-slim

# Types are checked with the tests; checking them takes longer than the rest of the build.
demo-app:
	@test -e $(WEB_BUILT) || nice -n 10 sh -c '$(MAKE) --no-print-directory $(WEB_READY) && npm --prefix web run bundle' || \
	echo "the demo runs without its page in the web app" >&2

# Without npm the tests that need its packages are skipped, with a message.
TEST_PACKAGES := tests/tools/node_modules/.package-lock.json

$(TEST_PACKAGES): tests/tools/package-lock.json
	@if command -v npm > /dev/null; \
	then npm --prefix tests/tools ci --no-audit --no-fund --prefer-offline && touch $@; \
	else echo "tests that need npm packages are skipped; install Node 20 or later and npm to run them" >&2; fi

tools: ## Install missing programs that only tests need
	@.ci/tools
	@$(MAKE) --no-print-directory $(TEST_PACKAGES)

test: $(READY) engine tools ## Set up and run all checks and tests
	@.ci/stages $(STAGES)

test-quick: $(READY) ## Run all tests that need no containers
	$(PYTEST) tests -m 'not docker and not web and not long' --durations=25

# These start agents and programs, or try many cases: they need half of the time, and `make test-quick` runs them.
SLOW_UNITS := tests/local_runner/runner tests/local_runner/agent tests/local_runner/events \
	tests/local_runner/assistants tests/local_runner/cache tests/local_runner/server \
	tests/local_runner/telemetry tests/sdk/programs tests/sdk/component tests/cli/assistants \
	tests/cli/projects tests/cli/deploy tests/cli/import_github tests/cli/launch/test_shards.py \
	tests/cli/view/test_read_commands.py tests/core/cache/test_kills.py tests/core/cache/test_ledger.py

unit: $(READY) ## Run the unit tests: without an engine, an agent and other programs
	$(PYTEST) tests/sdk tests/client tests/core tests/cli tests/local_runner tests/worker $(SLOW_UNITS:%=--ignore %) -m 'not docker and not long'

lint: $(READY) ## Check style, types, dependency rules and prose
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --output-format concise .
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin -p conducto -p conducto_core -p conducto_client -p conducto_cli -p conducto_local -p conducto_web
	PYTHONPATH=functions:emulator $(BIN)/lint-imports
	$(BIN)/python tests/tools/prose.py

conformance: $(READY) $(TEST_PACKAGES) ## Check that local and compiled state machines agree
	$(PYTEST) tests/conformance

# The adapters' tests against other emulators of AWS (tests/support/cloud/other_aws.py).
IN_TABLE := tests/contract/test_cloud_store_contract.py tests/contract/test_cloud_shells_contract.py \
	tests/contract/test_cloud_ports_contract.py::test_two_owners_who_remove_each_other_leave_one
ADAPTERS := $(wildcard tests/contract/test_cloud_*_contract.py) tests/functions/run/test_schema_migrations.py \
	tests/functions/images/test_codebuild.py tests/functions/workers/test_pull_through.py

test-dynamodb: $(READY) $(TEST_PACKAGES) ## Test the cloud's table in dynalite
	CONDUCTO_TEST_AWS=dynalite $(PYTEST) $(IN_TABLE)

test-adapters: $(READY) $(TEST_PACKAGES) ## Test all adapters of the cloud in dynalite and ministack
	CONDUCTO_TEST_AWS=dynalite $(PYTEST) $(ADAPTERS)
	CONDUCTO_TEST_AWS=ministack $(ALONE) $(ADAPTERS)

test-crash: $(READY) engine ## Kill the agent at random moments: ROUNDS=20
	ROUNDS=$(ROUNDS) $(PYTEST) tests/system/crash

# Only these directories have such tests (tests/conftest.py); collecting the others is slow.
DOCKER_TESTS := tests/contract tests/system/crash tests/system/docker tests/local_runner/runner

test-docker: $(READY) engine ## Run all tests that need containers
	$(PYTEST_WAITING) $(DOCKER_TESTS) -m 'docker and not long' --durations=25

# A quick part for `make test`: the differences between the engines, in under a minute.
PODMAN_QUICK := tests/contract/test_belongings_contract.py \
	tests/system/docker/test_engine.py::test_containers_are_confined \
	tests/system/docker/test_engine.py::test_leftover_container_is_replaced \
	tests/system/docker/test_engine.py::test_workers_of_one_network_find_each_other \
	tests/local_runner/runner/test_gc.py::test_images_of_archived_pipelines_go_and_those_of_live_ones_stay

# The Podman service has no network, so images with packages, the agent's image and the docker
# client's builder for Podman are not available.
PODMAN_OFFLINE := build_arguments or where_the_dockerfile or made_from_a_text or models_ or best_model \
	or shows_a_plot or the_demo_ or packages_and_requirements or test_agent_image or test_image_recipe

test-podman: $(READY) ## Run the tests that need containers with Debian's Podman; needs root
	.ci/podman $(ALONE) $(DOCKER_TESTS) -m 'docker and not long' -k 'not ($(PODMAN_OFFLINE))' --durations=15

test-podman-quick: $(READY)
	.ci/podman $(ALONE) $(PODMAN_QUICK) -m docker

test-cloud: $(READY) engine ## Test the whole cloud in the emulator
	$(PYTEST_WAITING) tests/system/cloud -m 'not long' --durations=25

WEB_READY := web/node_modules/.package-lock.json

$(WEB_READY): web/package-lock.json
	@command -v npm > /dev/null || { echo "the web app needs Node 20 or later and npm; install them" >&2; exit 1; }
	npm --prefix web ci --no-audit --no-fund --prefer-offline
	@touch $@

web: $(WEB_READY) ## Build the web app; needs Node 20 or later
	npm --prefix web run build

lint-web: $(WEB_READY) ## Check types and style of the web app
	npm --prefix web run check

test-web: $(READY) engine tools web lint-web ## Test the web app in Chromium against a real agent
	npm --prefix web test
	$(PYTEST_WAITING) tests/system/web -m 'web and not long' --durations=25

# A browser in the tests opens it at the deployed site.
$(WEB_BUILT):
	@$(MAKE) --no-print-directory web

DEPLOY_TESTS := not long

test-deploy: $(READY) engine tools $(WEB_BUILT) ## Test the real deployment at an emulated AWS; needs root
	$(BIN)/python tests/system/deploy/sandbox.py build/deploy \
	  $(BIN)/pytest -v -n0 --timeout 900 --durations=25 tests/system/deploy -m '$(DEPLOY_TESTS)'

test-long: $(READY) engine tools web test-adapters ## Run the tests that are too slow for CI
	$(ALONE) tests --ignore tests/system/deploy -m long --timeout 1800 --durations=15
	@$(MAKE) --no-print-directory test-deploy DEPLOY_TESTS=long

ci-pipeline: $(READY) engine ## Run this project's own pipeline, pipelines/ci.py, in containers
	$(BIN)/python pipelines/ci.py --local --run

docs: $(READY) ## Build the documentation site in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

film: $(READY) engine web ## Recreate the film and the gallery of the docs
	$(BIN)/python docs/film.py
	$(BIN)/python docs/gallery.py

screenshots: $(READY) web ## Recreate the pictures of the docs
	$(BIN)/python -m docs.screenshots

looks: $(READY) web ## Take pictures of every page of the web app in every state: LOOK=agent
	LOOKS=build/looks $(ALONE) tests/system/web/test_looks.py -k '$(LOOK)'
	$(BIN)/python docs/contact_sheet.py build/looks

synth: $(READY) ## Write the templates of the AWS installation to build/cdk.out; needs Node
	npx --yes aws-cdk@2 synth --quiet -c zone=us-east-1a

bench: $(READY) engine ## Run the benchmarks: BENCH=local, web or cloud
	$(BIN)/python -m bench $(BENCH)

clean: ## Remove all files that set-up and tests created in the checkout
	rm -rf $(VENV) dist build chalice.out cdk.out .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/results

.PHONY: help setup engine tools demo demo-image demo-app test test-quick unit lint conformance test-dynamodb test-adapters test-crash test-docker test-podman test-podman-quick test-cloud web lint-web test-web test-deploy test-long docs film screenshots looks synth bench clean
