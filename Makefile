# SPDX-License-Identifier: GPL-3.0-or-later
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: help setup setup-light demo demo-down test test-unit test-proxy lint molecule requirements clean lock routes \
  routes-check proof compare-rendered conformance benchmark-routing benchmark-runs benchmark-capacity test-ansible release

export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install Debian packages and the virtual environment (done by the other targets as needed)
	@tools/setup

setup-light:
	@tools/setup --light

demo: setup ## Boot a disposable host, deploy a homeserver with workers on it, and prove that it works
	@.venv/bin/python -m tools.demo up

demo-down: ## End the demo
	@python3 -m tools.demo down

# Two at a time, each with its output in one piece; the others use two cores by themselves.
SIDE_BY_SIDE := $(MAKE) --no-print-directory --jobs=2 --output-sync=target

test: setup-light ## Run everything
	@$(SIDE_BY_SIDE) lint test-unit
	@$(MAKE) --no-print-directory test-ansible
	@$(SIDE_BY_SIDE) release routes-check
	@$(MAKE) --no-print-directory test-proxy molecule

test-unit: setup-light ## Run the unit tests (PYTEST_ARGS= are passed on)
	@pytest $(PYTEST_ARGS)

test-ansible: setup ## Run unit tests, ansible-lint and rendering with the oldest and the newest ansible-core
	@python -m tools.test_ansible

test-proxy: ## Test the rendered files with a real nginx and with Synapse itself (PYTEST_ARGS= are passed on)
	@tools/setup --proxy
	@tools/test-proxy $(PYTEST_ARGS)

lint: setup-light ## Run all linters
	@tools/lint

molecule: setup ## Run SCENARIO=… (SUITE=trixie|bookworm, STEP=test, KEEP=1), or the whole matrix
	@python -m tools.scenarios $(SCENARIO) $(if $(SUITE),--suite $(SUITE)) $(if $(STEP),--step $(STEP)) $(if $(KEEP),--keep)

release: setup-light ## Build the tarball and the changelog of the version in galaxy.yml into dist/, and check them
	@python -m tools.release

requirements: setup-light ## Compile the pinned requirements again, with the newest versions
	@tools/compile-requirements

clean: ## End all disposable hosts of this checkout and remove everything that was generated
	@if [ "$$(id -u)" = 0 ] && command -v nft >/dev/null; then python3 -m tools.hosts down --all; fi
	@rm -rf --one-file-system .cache .venv .ansible .mypy_cache .pytest_cache .ruff_cache dist *.tar.gz
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

routes: setup-light ## Read what a Synapse release serves, and print what is new: make routes RELEASE=1.163.2
	@python -m tools.routes add $(RELEASE)
	@python -m tools.replication add $(RELEASE)

routes-check: setup-light ## Read the newest release again, and compare
	@python -m tools.routes check
	@python -m tools.replication check

proof: setup ## Compare what main and workers of a release answer, and record it: make proof RELEASE=1.163.2
	@python -m tools.proof $(RELEASE)

compare-rendered: setup-light ## Show what changes in the files of hosts since BASE=… (ARGS="--ignore '/etc/nginx/*' --only 'full-*'")
	@python -m tools.compare_rendered $(if $(BASE),--base '$(BASE)') $(ARGS)

conformance: setup ## Print where every request of every release goes in every example inventory (ARGS="full --left")
	@python -m tools.conformance $(ARGS)

benchmark-routing: setup ## Measure what nginx costs for each request (ARGS=--write puts the table into the README)
	@python -m benchmarks.routing $(ARGS)

benchmark-runs: setup ## Measure what runs cost (ARGS="workers hosts adding rendering --write")
	@python -m benchmarks.runs $(ARGS)

benchmark-capacity: setup ## Measure what fleets serve in time (ARGS=--write puts table and chart into docs/)
	@python -m benchmarks.capacity $(ARGS)

lock: setup-light ## Lock the packages of a Synapse release: make lock RELEASE=1.163.2
	@python tools/lock_release.py $(RELEASE)
