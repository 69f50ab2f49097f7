SHELL := /bin/bash
PYTHON := .venv/bin/python
RENDER := $(PYTHON) -m deploy.render
DASHBOARDS := $(PYTHON) -m grafana.builder
STACK := deploy/compose
K8S := deploy/k8s
ASK = . $(STACK)/stack.sh && need_engine && running exec -T api celery-runtime
HOST = $(if $(PREFIX),--prefix "$(PREFIX)") $(if $(ROOT),--root "$(ROOT)")
BENCH = deploy/hosts/docker.sh && $(PYTHON) -m bench $(if $(BROKER),--broker $(BROKER)) $(if $(TASKS),--tasks $(TASKS)) \
	$(if $(RUNS),--runs $(RUNS)) $(if $(ONLY),--only $(ONLY))

.DEFAULT_GOAL := help
.PHONY: help up down status logs smoke dead-letters schedule workers active scheduled registered revoke rate events-on events-off consume clean dev render queue test test-all test-apps test-cluster test-systemd bench bench-quick bench-growth bench-monitoring bench-page load dashboards-preview chaos compat conformance lint lint-k8s lock k8s-up k8s-status k8s-smoke k8s-down systemd-install systemd-uninstall systemd-scale supervisor-install

help: ## Print these commands
	@awk -F ':.*## ' '/^[a-z0-9%-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## Bring the whole stack up and send one picture through it (BROKER=redis|rabbitmq APP=examples/django)
	@$(STACK)/up.sh

down: ## Stop the stack; its data stays
	@$(STACK)/down.sh

status: ## What runs, where, and where its password is
	@$(STACK)/status.sh

logs: ## Follow the stack's logs (SERVICE=worker-media for one)
	@. $(STACK)/stack.sh && need_engine && running logs --follow --tail 100 $(SERVICE)

smoke: ## Walk through the patterns on the running stack, a line for each (ROWS=1,2,12)
	@. $(STACK)/stack.sh && need_engine && running exec -T api $(if $(APP),$$SMOKE,python -m app.smoke --rows $(or $(ROWS),all) --timeout 85 --api http://127.0.0.1:8000 --mail http://mail:8025)

dead-letters: ## What no worker could run (ARGS="show ID", ARGS="replay --queue media")
	@$(ASK) dead-letters $(or $(ARGS),list)

schedule: ## What Beat sends, and when (ARGS="run daily-report", ARGS="set daily-report --cron '0 8 * * *' --zone Europe/Berlin")
	@$(ASK) schedule $(or $(ARGS),list)

workers: ## Which workers run, what they serve and how busy they are
	@$(ASK) workers

active: ## The tasks that run now
	@$(ASK) active

scheduled: ## The tasks that workers hold until their time
	@$(ASK) scheduled

registered: ## The tasks that each worker knows, with their rate limits
	@$(ASK) registered

revoke: ## Keep a task from running (ID=; TERMINATE=1 ends it if it runs)
	@$(ASK) revoke $(if $(TERMINATE),--terminate )-- "$(ID)"

rate: ## Limit how often each worker starts a task (TASK=app.tasks.faults.count RATE=10/s; RATE=0 for no limit)
	@$(ASK) rate -- "$(TASK)" "$(RATE)"

events-on: ## Let the workers send an event for each task, which Flower and the exporter read
	@$(ASK) events on

events-off: ## Let them send none
	@$(ASK) events off

consume: ## Let a worker serve one more queue (QUEUE=media WORKER=default; STOP=1 ends it)
	@$(ASK) consume $(if $(STOP),--stop )-- "$(QUEUE)" "$(WORKER)"

clean: ## Remove the stack, its data and the images built here; asks first (YES=1 answers)
	@$(STACK)/clean.sh

dev: .venv/ready ## Run the app as local processes: no Docker, no root
	@$(PYTHON) -m app.dev

render: .venv/ready ## Turn queues.toml into every platform's workers, and alerts into their dashboards
	@$(RENDER) && $(DASHBOARDS)

queue: .venv/ready ## Add a queue to queues.toml and render (NAME=reports)
	@$(RENDER) --add "$(NAME)" && $(DASHBOARDS)

test: .venv/ready .venv-tracing/ready ## What is not marked slow, of every tier or of some (TIERS="unit stack")
	@$(PYTHON) -m tests $(TIERS)

test-all: .venv/ready .venv-tracing/ready ## Everything, of every tier or of some (TIERS="unit stack")
	@$(PYTHON) -m tests $(TIERS) --slow

test-cluster: .venv/ready ## The stack on the Kubernetes of KUBECONFIG, what is slow too
	@$(PYTHON) -m tests cluster --slow

test-systemd: .venv/ready ## Units, installer and Supervisor under a systemd of their own, what is slow too
	@$(PYTHON) -m tests systemd --slow

test-apps: .venv/ready ## The examples unchanged, on both brokers, and each version of Celery and Python, what is slow too
	@$(PYTHON) -m tests apps --slow

test-%: .venv/ready .venv-tracing/ready ## One tier: test-unit, test-manifests, test-dev, test-integration, test-stack, test-chaos
	@$(PYTHON) -m tests $*

k8s-up: ## The stack in the cluster of KUBECONFIG (OVERLAY=local|rabbitmq|no-keda, REGISTRY= or CLUSTER_LOAD= if not kind or k3d)
	@$(K8S)/up.sh

k8s-status: ## What runs in the cluster, how it scales, how to reach it
	@$(K8S)/status.sh

k8s-smoke: ## Walk through the patterns on the stack in the cluster, a line for each (ROWS=1,2,12)
	@ROWS=$(or $(ROWS),all) $(K8S)/smoke.sh

k8s-down: ## Remove the stack from the cluster, with its data; asks first (YES=1 answers)
	@$(K8S)/down.sh

systemd-install: ## Install or upgrade this host's units, queue by queue (PREFIX=/opt/celery-blueprint ROOT=/an/image TRIAL=1)
	@deploy/systemd/install.sh $(HOST)
	@$(if $(TRIAL),deploy/systemd/trial.sh $(HOST))

systemd-uninstall: ## Stop and remove them; settings, passwords and backups stay (PREFIX= ROOT=)
	@deploy/systemd/uninstall.sh $(HOST)

supervisor-install: ## Install or upgrade the same for Supervisor, on hosts without systemd (PREFIX=)
	@deploy/systemd/supervisor/install.sh $(HOST)

systemd-scale: ## Run that many workers of a queue on this host (QUEUE=media WORKERS=3)
	@deploy/systemd/scale.sh "$(QUEUE)" "$(WORKERS)"

bench: .venv/ready .venv-bench/ready ## Against stock Celery and others, 15 minutes (BROKER= TASKS= RUNS= ONLY=drain,latency)
	@$(BENCH) --result docs/performance/result.json --page docs/performance.md

bench-quick: .venv/ready .venv-bench/ready ## The same in 4 minutes; writes nothing into docs/
	@$(BENCH) --result .cache/bench/result.json --quick --minutes 3.4 --tasks $(or $(TASKS),1500) --runs $(or $(RUNS),2)

bench-growth: .venv/ready .venv-bench/ready ## The cost of a task up to a million queued, 64 workers, 200 queues, 64 KiB; slow
	@$(BENCH) --result docs/performance/result.json --page docs/performance.md --minutes 120 --broker redis \
	--runs $(or $(RUNS),2) --only $(or $(ONLY),growth-queued,growth-workers,growth-queues,growth-payloads)

bench-monitoring: .venv/ready .venv-bench/ready .venv-exporter/ready .venv-tracing/ready ## What metrics, scrapes, collector, exporter and tracing cost, in 5 paired runs; writes nothing into docs/
	@$(BENCH) --result .cache/bench/monitoring.json --only monitoring --runs $(or $(RUNS),5) --tasks $(or $(TASKS),4000)

bench-page: .venv/ready .venv-bench/ready ## Write docs/performance.md anew from its figures, without measuring
	@$(PYTHON) -m bench --result docs/performance/result.json --page docs/performance.md --page-only

load: .venv/ready ## Ten minutes of pictures, posts, AI calls and failures for the running stack (MINUTES=)
	@. $(STACK)/stack.sh && $(PYTHON) -m app.load --minutes "$(or $(MINUTES),10)" --api "http://127.0.0.1:$$(setting API_PORT 8000)"

dashboards-preview: .venv-bench/ready ## Draw each dashboard from what the running stack's Prometheus has, into docs/monitoring
	@. $(STACK)/stack.sh && .venv-bench/bin/python -m grafana.preview --prometheus "http://127.0.0.1:$$(setting PROMETHEUS_PORT 9090)"

chaos: .venv/ready ## Kill, cut, fill and pause everything under load; print what was lost (BROKER=, ROWS=1,5,8, STOCK=1)
	@deploy/hosts/docker.sh
	@$(PYTHON) -m tests.chaos --rows "$(ROWS)" --broker $(or $(BROKER),redis rabbitmq) --celery runtime $(if $(STOCK),stock)

compat: .venv/ready ## A worker on each release of Celery and Python that is installed here; what does not fit must be refused
	@deploy/hosts/docker.sh
	@$(PYTHON) -m pytest -rsP tests/apps/test_compatibility.py

conformance: .venv/ready ## kombu's and Celery's own tests, with and without the runtime (BROKER=, SUITE=, TESTS=)
	@deploy/hosts/docker.sh
	@$(PYTHON) -m tests.conformance $(if $(BROKER),--broker $(BROKER)) $(if $(SUITE),--suite $(SUITE)) $(if $(TESTS),-k "$(TESTS)")

lint: .venv/ready ## What CI checks before it tests
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/yamllint --strict .
	@if command -v shellcheck >/dev/null; then shellcheck -x -P SCRIPTDIR $$(git ls-files '*.sh' .ci/run); \
	else echo "lint: shellcheck is not installed, shell scripts were not checked"; fi
	@$(RENDER) --check && $(DASHBOARDS) --check

lint-k8s: .venv-checkov/ready ## checkov's rules for Kubernetes on every overlay (deploy/k8s/checkov.yaml says which are left out)
	@$(K8S)/lint.sh

lock: .venv/ready ## Pin the newest allowed versions of every dependency, with hashes
	@requirements/lock.sh

.venv/ready: requirements/test.txt pyproject.toml
	@requirements/install.sh .venv

.venv-exporter/ready: PIP_OPTIONS = --ignore-requires-python
.venv-%/ready: requirements/%.txt
	@echo "Python: installing $* into .venv-$*" >&2
	@"$$(deploy/hosts/python.sh)" -m venv .venv-$*
	@.venv-$*/bin/pip install --quiet --disable-pip-version-check --no-deps $(PIP_OPTIONS) --require-hashes --requirement $<
	@touch $@
