SHELL := /bin/bash
PYTHON := .venv/bin/python
RENDER := $(PYTHON) -m deploy.render
STACK := deploy/compose

.DEFAULT_GOAL := help
.PHONY: help up down status logs smoke dead-letters clean dev render queue test test-all bench chaos conformance lint lock

help: ## Print these commands
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## Bring the whole stack up and send one picture through it (BROKER=redis|rabbitmq)
	@$(STACK)/up.sh

down: ## Stop the stack; its data stays
	@$(STACK)/down.sh

status: ## What runs, where, and where its password is
	@$(STACK)/status.sh

logs: ## Follow the stack's logs (SERVICE=worker-media for one)
	@. $(STACK)/stack.sh && need_engine && running logs --follow --tail 100 $(SERVICE)

smoke: ## Send one picture through the running stack
	@. $(STACK)/stack.sh && need_engine && running exec -T api python -m app.smoke --api http://127.0.0.1:8000 --mail http://mail:8025

dead-letters: ## What no worker could run (ARGS="show ID", ARGS="replay --queue media")
	@. $(STACK)/stack.sh && need_engine && running exec -T api celery-runtime dead-letters $(or $(ARGS),list)

clean: ## Remove the stack, its data and the images built here; asks first (YES=1 answers)
	@$(STACK)/clean.sh

dev: .venv/ready ## Run the app as local processes: no Docker, no root
	@$(PYTHON) -m app.dev

render: .venv/ready ## Turn queues.toml into every platform's workers
	@$(RENDER)

queue: .venv/ready ## Add a queue to queues.toml and render (NAME=reports)
	@$(RENDER) --add "$(NAME)"

test: .venv/ready ## Everything but what is marked slow: unit, manifests, dev, integration, stack, chaos
	@$(PYTHON) -m tests

test-all: .venv/ready ## Everything
	@$(PYTHON) -m tests --slow

test-%: .venv/ready ## One tier: test-unit, test-manifests, test-dev, test-integration, test-stack, test-chaos
	@$(PYTHON) -m tests $*

bench: .venv/ready ## Tasks a second against stock Celery (BROKER=redis|rabbitmq|both TASKS=5000 RUNS=3)
	@deploy/hosts/docker.sh
	@$(PYTHON) -m bench --broker $(or $(BROKER),both) --tasks $(or $(TASKS),5000) --runs $(or $(RUNS),3)

chaos: .venv/ready ## Kill, cut, fill and pause everything under load; print what was lost (BROKER=, ROWS=1,5,8, STOCK=1)
	@deploy/hosts/docker.sh
	@$(PYTHON) -m tests.chaos --rows "$(ROWS)" --broker $(or $(BROKER),redis rabbitmq) --celery runtime $(if $(STOCK),stock)

conformance: .venv/ready ## kombu's and Celery's own tests, with and without the runtime (BROKER=, SUITE=, TESTS=)
	@deploy/hosts/docker.sh
	@$(PYTHON) -m tests.conformance $(if $(BROKER),--broker $(BROKER)) $(if $(SUITE),--suite $(SUITE)) $(if $(TESTS),-k "$(TESTS)")

lint: .venv/ready ## What CI checks before it tests
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/yamllint --strict .
	@if command -v shellcheck >/dev/null; then shellcheck -x -P SCRIPTDIR $$(git ls-files '*.sh' .ci/run); \
	else echo "lint: shellcheck is not installed, shell scripts were not checked"; fi
	@$(RENDER) --check

lock: .venv/ready ## Pin the newest allowed versions of every dependency, with hashes
	@requirements/lock.sh

.venv/ready: requirements/test.txt pyproject.toml
	@requirements/install.sh .venv
