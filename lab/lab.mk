# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors

# Settings of the lab, such as LAB="-e lab_members=3 -e @lab/versions/2026.yml"
LAB ?=
# One lab at a time on a machine: a second call waits, and so does one after a kill until the last step of the killed one has ended.
LAB_LOCK := $(or $(CLUSTERSET_LAB_CACHE),$(HOME)/.cache/clusterset-lab)/lock
LAB_RUN = mkdir -p $(dir $(LAB_LOCK)) && ANSIBLE_CONFIG=lab/ansible.cfg flock $(LAB_LOCK) ansible-playbook $(LAB)

.PHONY: lab
lab: venv ## A fleet of kind clusters with Karmada on this machine
	@$(LAB_RUN) lab/up.yml

.PHONY: lab-down
lab-down: venv ## Remove that fleet
	@$(LAB_RUN) lab/down.yml

.PHONY: lab-registry
lab-registry: venv ## A registry on localhost:5000 with images of the lab, to try LAB="-e lab_registry=localhost:5000"
	@$(LAB_RUN) lab/registry.yml
