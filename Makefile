SHELL := /bin/bash
PYTHON := .venv/bin/python
RENDER := $(PYTHON) -m deploy.render
STACK := deploy/compose
BENCH = deploy/hosts/docker.sh && $(PYTHON) -m bench $(if $(BROKER),--broker $(BROKER)) $(if $(TASKS),--tasks $(TASKS)) \
	$(if $(RUNS),--runs $(RUNS)) $(if $(ONLY),--only $(ONLY))

.DEFAULT_GOAL := help
.PHONY: help up down status logs smoke dead-letters clean dev render queue test test-all bench bench-quick bench-growth bench-page chaos conformance lint lock

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

bench: .venv/ready .venv-bench/ready ## Against stock Celery and others, 15 minutes (BROKER= TASKS= RUNS= ONLY=drain,latency)
	@$(BENCH) --result docs/performance/result.json --page docs/performance.md

bench-quick: .venv/ready .venv-bench/ready ## The same in 4 minutes; writes nothing into docs/
	@$(BENCH) --result .cache/bench/result.json --quick --minutes 3.4 --tasks $(or $(TASKS),1500) --runs $(or $(RUNS),2)

bench-growth: .venv/ready .venv-bench/ready ## The cost of a task up to a million queued, 64 workers, 200 queues, 64 KiB; slow
	@$(BENCH) --result docs/performance/result.json --page docs/performance.md --minutes 120 --broker redis \
	--runs $(or $(RUNS),2) --only $(or $(ONLY),growth-queued,growth-workers,growth-queues,growth-payloads)

bench-page: .venv/ready .venv-bench/ready ## Write docs/performance.md anew from its figures, without measuring
	@$(PYTHON) -m bench --result docs/performance/result.json --page docs/performance.md --page-only

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

.venv-bench/ready: requirements/bench.txt
	@echo "Python: installing what is compared into .venv-bench" >&2
	@"$$(deploy/hosts/python.sh)" -m venv .venv-bench
	@.venv-bench/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $<
	@touch $@
