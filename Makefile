# The one way in, for people and for CI. Set-up goes into .venv and is quick when nothing changed.
PYTHON ?= python3
BENCH ?= local
ROUNDS ?= 20
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# AGAIN=1 repeats the tests that failed, or all where none is known, one at a time (.ci/run).
CACHE = -o cache_dir=.pytest_cache/$@
WORKERS = $(if $(AGAIN),-n 0 --last-failed,-n 2)
PYTEST = $(BIN)/pytest -q $(CACHE) $(WORKERS)
ALONE = $(BIN)/pytest -q $(CACHE) -n 0
# Each process would compile all modules again: half of the time of the quick loop.
unexport PYTHONDONTWRITEBYTECODE
STAGES := lint test-quick test-dynamodb test-docker test-podman-quick test-cloud test-web

.DEFAULT_GOAL := help

help: ## This list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 16

$(READY): pyproject.toml
	@.ci/venv $(PYTHON) $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev,cloud-test,deploy,infra-test,web-test]'
	@touch $@

# What a user installs is enough for the demo; where everything is set up already, that is used.
USABLE := $(VENV)/.usable

$(USABLE): pyproject.toml
	@.ci/venv $(PYTHON) $(VENV)
	@test -e $(READY) || $(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

setup: $(READY) ## Set up .venv

engine: ## Use a running container engine, or install and start one
	@.ci/engine

demo: $(USABLE) engine ## Set up, and run the demo pipeline in containers
	$(BIN)/python tests/support/stand_ins.py python:3.11-slim
	$(BIN)/python examples/demo/pipeline.py --local --run

# Without npm the tests that need its packages are left out, and say so.
TEST_PACKAGES := tests/tools/node_modules/.package-lock.json

$(TEST_PACKAGES): tests/tools/package-lock.json
	@if command -v npm > /dev/null; \
	then npm --prefix tests/tools ci --no-audit --no-fund --prefer-offline && touch $@; \
	else echo "tests that need packages of npm are left out: install Node 20 or later and npm" >&2; fi

tools: ## Programs that only tests need, where they are missing
	@.ci/tools
	@$(MAKE) --no-print-directory $(TEST_PACKAGES)

test: $(READY) engine tools ## Set up, and run all checks and tests
	@.ci/stages $(STAGES)

test-quick: $(READY) ## All tests that need no containers
	$(PYTEST) tests -m 'not docker and not web and not long' --durations=25

unit: $(READY) ## The quick loop: no engine, under a minute
	$(PYTEST) tests/unit -m 'not docker and not long'

lint: $(READY) ## Style, types, dependency rule
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --output-format concise .
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin -p conducto -p conducto_core -p conducto_client -p conducto_cli -p conducto_local
	PYTHONPATH=functions:emulator $(BIN)/lint-imports

prose: $(READY) ## Plain English in docs, messages, comments and names of tests
	$(BIN)/python tests/tools/prose.py

conformance: $(READY) $(TEST_PACKAGES) ## Local machine and compiled state machine agree
	$(PYTEST) tests/conformance

# The adapters' suites against AWS by others (tests/support/cloud/other_aws.py).
IN_TABLE := tests/contract/test_cloud_store_contract.py tests/contract/test_cloud_shells_contract.py
ADAPTERS := $(wildcard tests/contract/test_cloud_*_contract.py) tests/functions/test_schema_migrations.py \
	tests/functions/test_codebuild.py tests/functions/test_pull_through.py

test-dynamodb: $(READY) $(TEST_PACKAGES) ## What the cloud keeps in its table, in dynalite
	CONDUCTO_TEST_AWS=dynalite $(PYTEST) $(IN_TABLE)

test-adapters: $(READY) $(TEST_PACKAGES) ## All adapters of the cloud, in dynalite and in ministack
	CONDUCTO_TEST_AWS=dynalite $(PYTEST) $(ADAPTERS)
	CONDUCTO_TEST_AWS=ministack $(ALONE) $(ADAPTERS)

test-crash: $(READY) engine ## Kill the agent at random moments: ROUNDS=20
	ROUNDS=$(ROUNDS) $(PYTEST) tests/crash

# Only these directories have such tests (tests/conftest.py); collecting the others takes long.
DOCKER_TESTS := tests/contract tests/crash tests/docker tests/runner

test-docker: $(READY) engine ## All tests that need containers
	$(PYTEST) $(DOCKER_TESTS) -m 'docker and not long' --durations=25

# A quick part of it is part of `make test`: what differs between the engines, under a minute.
PODMAN_QUICK := tests/contract/test_belongings_contract.py \
	tests/docker/test_engine.py::test_containers_are_confined \
	tests/docker/test_engine.py::test_leftover_container_is_replaced \
	tests/docker/test_engine.py::test_workers_of_one_network_find_each_other \
	tests/runner/test_gc.py::test_images_of_archived_pipelines_go_and_those_of_live_ones_stay

# Its service has no network: images with packages, the agent's image and the docker client's builder
# for Podman cannot be had there.
PODMAN_OFFLINE := build_arguments or where_the_dockerfile or made_from_a_text or models_ or best_model \
	or shows_a_plot or the_demo_ or packages_and_requirements or test_agent_image or test_image_recipe

test-podman: $(READY) ## The tests that need containers, on Debian's Podman; needs root
	.ci/podman $(ALONE) $(DOCKER_TESTS) -m 'docker and not long' -k 'not ($(PODMAN_OFFLINE))' --durations=15

test-podman-quick: $(READY)
	.ci/podman $(ALONE) $(PODMAN_QUICK) -m docker

test-cloud: $(READY) engine ## The whole cloud side in the emulator
	$(PYTEST) tests/cloud -m 'not long' --durations=25

WEB_READY := web/node_modules/.package-lock.json

$(WEB_READY): web/package-lock.json
	@command -v npm > /dev/null || { echo "the web app needs Node 20 or later and npm; install them" >&2; exit 1; }
	npm --prefix web ci --no-audit --no-fund --prefer-offline
	@touch $@

web: $(WEB_READY) ## Build the web app; needs Node 20 or later
	npm --prefix web run build

lint-web: $(WEB_READY) ## Types and style of the web app
	npm --prefix web run check

test-web: $(READY) engine tools web lint-web ## The web app in Chromium against a real agent
	npm --prefix web test
	$(PYTEST) tests/web -m 'web and not long' --durations=25

# What `make web` builds; a browser of the tests opens it at the deployed site.
WEB_BUILT := local_runner/conducto_local/web/index.html

$(WEB_BUILT):
	@$(MAKE) --no-print-directory web

test-deploy: $(READY) engine tools $(WEB_BUILT) ## The real deployment, at an AWS that is not ours; needs root
	$(BIN)/python tests/deploy/sandbox.py build/deploy \
	  $(BIN)/pytest -v -n0 --timeout 900 --durations=25 tests/deploy

test-long: $(READY) engine tools web test-adapters ## The tests that are too slow for CI
	$(ALONE) tests --ignore tests/deploy -m long --timeout 1800 --durations=15

screenshots: $(READY) web ## The pictures of the docs, anew
	$(BIN)/python -m docs.screenshots

looks: $(READY) web ## Pictures of every page of the web app in every state: LOOK=agent
	LOOKS=build/looks $(ALONE) tests/web/test_looks.py -k '$(LOOK)'

synth: $(READY) ## The templates of the AWS installation, into build/cdk.out; needs Node
	npx --yes aws-cdk@2 synth --quiet

bench: $(READY) engine ## Measure: BENCH=local, web or cloud
	$(BIN)/python -m bench $(BENCH)

clean: ## Remove what set-up and tests made in the checkout
	rm -rf $(VENV) dist build chalice.out cdk.out .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/results

.PHONY: help setup engine tools demo test test-quick unit lint prose conformance test-dynamodb test-adapters test-crash test-docker test-podman test-podman-quick test-cloud web lint-web test-web test-deploy test-long screenshots looks synth bench clean
