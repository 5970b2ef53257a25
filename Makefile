# KvFs: what can be done here. `make` alone explains it.
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup up down test check sim soak conformance bench fmt publish test-published clean

KVFS := artifacts/kvfs
PLACE = $(if $(DATA),--data "$(DATA)") $(if $(MOUNT),--mount "$(MOUNT)")

help: ## Print this list
	@echo 'KvFs. On a fresh Debian 12 with git, make and the .NET 10 SDK: "make up", then "make test".'
	@echo
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  make up DATA=dir MOUNT=dir      where the node keeps its data, and where the drive appears'
	@echo '  make test ONLY="core node"      only these folders of tests/'
	@echo '  make sim SEEDS=1000             so many seeds instead of the few of "make test"'
	@echo '  make soak ROUNDS=1000           so many kills instead of 100; SEEDS=1000 so many lives instead of 300'
	@echo '  make conformance SUITE=dir      a checkout of pjdfstest, or a folder with an fsx binary'
	@echo '  make bench SYSTEMS="ext4 kvfs"  only these; as root, on an idle machine'
	@echo '  make bench SYSTEMS=library      pools of 1, 3 and 5 nodes through the client library, without a mount'

setup: ## Install the Debian packages that are missing, restore, build (quick when done)
	@build/setup.sh

up: setup ## Start a node with a drive, mount it, and say where it is
	@$(KVFS) up --detach $(PLACE)

down: setup ## Unmount the drive and stop its node
	@$(KVFS) down $(if $(DATA),--data "$(DATA)")

test: setup ## Run every test
	@build/test.sh $(ONLY)

check: ## Format, analyzers and every test, with the kvfs that `publish` makes: what .ci/run does
	@build/check.sh

sim: setup ## Run the simulation with many fresh seeds, and say what was reached (SEEDS=100, FIRST=seed to begin with)
	@build/sim.sh $(or $(SEEDS),100) $(FIRST)

soak: setup ## Kill the server many times under load, and compare long random lives with the local disk (ROUNDS=100)
	@KVFS_ROUNDS=$(or $(ROUNDS),100) KVFS_SEEDS=$(or $(SEEDS),300) build/test.sh integration pool

conformance: setup ## Run an outside suite on a fresh mount (SUITE=dir)
	@tests/conformance/run.sh "$(SUITE)"

bench: publish ## Measure against ext4 and installed peers, into bench/results/
	@bench/run.sh $(SYSTEMS)

fmt: setup ## Put the sources into the house's format
	@dotnet format KvFs.sln --no-restore

publish: setup ## Put a runnable kvfs into artifacts/publish
	@build/publish.sh
	@echo 'artifacts/publish/kvfs is ready'

test-published: setup ## Run the tests of the command line against what `publish` makes, and not what `setup` builds
	@KVFS_PUBLISH=1 build/test.sh cli integration pool

clean: ## Remove everything that was built here (not a drive's data)
	@rm -rf artifacts
	@find . -name .git -prune -o -type d \( -name bin -o -name obj -o -name TestResults \) -prune -exec rm -rf {} +
