# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# What a make target runs is the checkout's own, whatever the caller's environment has.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
unexport ANSIBLE_COLLECTIONS_PATH PYTHONPATH

LINK := .cache/collections/ansible_collections/clusterset/dns
STEPS ?=
BENCH ?=
SETS ?=

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: venv
venv: ## The virtual environment .venv with pinned dependencies
	@requirements/venv.sh .venv
	@test -e $(LINK) || { mkdir -p $(dir $(LINK)) && ln -sfn ../../../.. $(LINK); }

.PHONY: lock
lock: ## Resolve the dependencies anew for each Python found here
	@requirements/lock.sh

-include lab/lab.mk

.PHONY: demo
demo: lab ## The fleet, a workload, one name for it everywhere: ends with a table of who answers what
	@ansible-playbook -i .lab/inventory.yml lab/demo.yml
	@ansible-playbook -i .lab/inventory.yml playbooks/site.yml -e dns_verify_json=$(CURDIR)/.lab/demo.json -e dns_verify_html=$(CURDIR)/.lab/demo.html

.PHONY: test
test: venv ## What a change must pass (STEPS="lint unit" for some of it, STEPS=all with what takes long)
	@python tests/run.py $(STEPS)

.PHONY: lint unit sanity molecule fleet faults
lint unit sanity molecule fleet faults: venv
	@python tests/run.py $@
lint: ## Linters and formats
unit: ## Unit tests on the newest and on the oldest supported ansible-core
sanity: ## ansible-test sanity on the newest ansible-core and on 2.19
molecule: ## Molecule on the fleet
fleet: ## Kills, check mode, wrong input and the installed collection on the fleet
faults: ## All other faults on the fleet, with clients that ask all the while: half an hour or more

.PHONY: matrix
matrix: venv ## The whole way on fleets of several versions, written to docs/support.md (SETS="2025 2026" for some of lab/versions)
	@python tests/matrix.py $(SETS)

.PHONY: bench
bench: $(if $(filter fleet,$(BENCH)),venv,lab) ## Measurements beside their peers, one JSON object a line (BENCH=NAME for one)
	@python benchmarks/run.py $(BENCH)

.PHONY: docs
docs: venv ## The reference of all plugins and roles as HTML, in .cache/docs
	@mkdir -p .cache/docs
	@antsibull-docs sphinx-init --use-current --dest-dir .cache/docs --squash-hierarchy --lenient clusterset.dns
	@requirements/venv.sh .cache/docs/venv "" .cache/docs/requirements.txt
	@cd .cache/docs && PATH="$(CURDIR)/.cache/docs/venv/bin:$$PATH" ./build.sh
	@echo "$(CURDIR)/.cache/docs/build/html/index.html"
