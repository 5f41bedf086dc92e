# regate: `make` alone lists the targets. Nothing is written outside this tree.

VENV       := .venv
BIN        := $(VENV)/bin
STAMPS     := $(VENV)/stamps
SOURCES    := sidecar translator rego examples bench scripts tests
WORKERS    ?= 2
GOLDEN     ?= tests/translator
CALLS      ?= 100000
MUTANTS    ?= 200000
DOCKERED   := tests/images tests/sidecar/upstream/test_container.py tests/sidecar/upstream/test_dockerd.py tests/sidecar/cli/test_images.py
COVERED    := tests/sidecar/core tests/translator tests/decisions/test_cases.py

export XDG_CACHE_HOME := $(CURDIR)/.cache
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup run demo test test-deploy test-cluster check bench agreement guards mutants clients golden image sbom test-images render lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

setup: $(STAMPS)/regate $(STAMPS)/opa ## install regate into .venv from locked packages, and find or get OPA

run: setup $(STAMPS)/examples ## govern a real MCP server (mcp-server-git) under examples/git/policy.json; stays up
	@$(BIN)/python -m examples.repository .cache/example-repository
	@exec $(BIN)/regate run --policy examples/git/policy.json --state .cache/example-state $(RUN) -- \
	    $(BIN)/mcp-server-git --repository $(CURDIR)/.cache/example-repository

demo: setup $(STAMPS)/examples ## a real client tours the gateway and checks each answer
	@exec $(BIN)/python -m examples.demo

test: check ## set everything up, check, and pass all tests; the core and the translator are covered whole
	@$(MAKE) --no-print-directory $(STAMPS)/redis $(STAMPS)/registry
	$(BIN)/coverage run --source=sidecar/core,translator -m pytest -q $(COVERED)
	$(BIN)/coverage report --skip-covered --fail-under=100
	$(BIN)/python -m pytest -n $(WORKERS) -m "not docker" $(addprefix --ignore=,$(COVERED))
	@sh scripts/docker.sh $(BIN)/python -m pytest -m docker $(DOCKERED)

test-deploy: setup $(STAMPS)/test $(STAMPS)/deploy ## render deploy/ by helm and kustomize, compare and check it; with KUBECONFIG, a dry run there
	$(BIN)/python -m pytest -q tests/deploy

test-cluster: setup $(STAMPS)/test $(STAMPS)/deploy ## a real Kubernetes (that of KUBECONFIG, or one of its own): chart, injector, Flux, rolling update
	@sh scripts/docker.sh bash scripts/cluster/run.sh $(BIN)/python -m pytest -v --cluster --cluster-report docs/deploy-verified.md \
	    tests/cluster tests/deploy/test_dry_run.py

test-images: setup $(STAMPS)/test ## the container images at work, and all of deploy/compose: takes some 15 minutes the first time
	@sh scripts/docker.sh $(BIN)/python -m pytest -m docker --images $(DOCKERED) $(IMAGES)

image: setup ## build the container image regate:VERSION with the Docker that runs here; see deploy/docker/build.sh
	@sh deploy/docker/build.sh regate

sbom: setup $(STAMPS)/test ## write what regate is made of to .cache/sbom.cdx.json (CycloneDX)
	@$(BIN)/python scripts/sbom.py requirements/run.txt --opa $(BIN)/opa >.cache/sbom.cdx.json
	@echo .cache/sbom.cdx.json

check: setup $(STAMPS)/test ## ruff, mypy --strict, opa fmt and check --strict, house rules
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python -m scripts.check_rego
	$(BIN)/python -m pytest -q tests/test_house.py

bench: setup $(STAMPS)/examples ## measure the gateway against a bare forwarder and a direct connection, side by side
	@exec $(BIN)/python -m bench $(BENCH)

agreement: setup $(STAMPS)/test ## judge CALLS generated calls (100,000) by OPA and by a plain reading of the reference; for every night
	$(BIN)/python -m pytest -q tests/decisions/test_agreement.py --calls=$(CALLS) --log-cli-level=info

guards: setup $(STAMPS)/test ## take out each guard against bypasses in turn, in a copy, and show which tests miss it
	$(BIN)/python -m scripts.without_guards $(GUARDS)

mutants: setup $(STAMPS)/test ## send MUTANTS bent messages (200,000) and compare how four readers read them; for every night
	$(BIN)/python -m pytest -q tests/bypass/test_fuzz.py --mutants=$(MUTANTS) --log-cli-level=info

clients: setup $(STAMPS)/test ## try the clients of others before the gateway, those in Go, Rust and Java too where their tools are
	$(BIN)/python -m pytest -q tests/eras/clients --more-clients

golden: setup $(STAMPS)/test ## rewrite the golden files of the translator's tests; read the diff afterwards
	$(BIN)/python -m pytest -q $(GOLDEN) --update-golden

render: setup $(STAMPS)/test $(STAMPS)/deploy ## rewrite what is made from other files: deploy/manifests, the chart's and the reference pages
	$(BIN)/python -m scripts.render

lock: $(STAMPS)/uv ## resolve requirements/*.in again into requirements/*.txt, with hashes
	@sh scripts/lock.sh .cache/uv/bin/uv

clean: ## remove everything the targets made
	rm -rf $(VENV) .cache build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp stands for one finished step; a step runs again only when what it was made from changed.

$(STAMPS)/venv:
	@sh scripts/venv.sh $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/run: requirements/run.txt requirements/build.txt $(STAMPS)/venv
	$(BIN)/python -m pip install -q --require-hashes -r requirements/run.txt -r requirements/build.txt
	@touch $@

$(STAMPS)/regate: pyproject.toml $(STAMPS)/run
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

# The link is for `regate` outside make, where the cache is another one.
$(STAMPS)/opa: $(STAMPS)/regate sidecar/opa/binary.py sidecar/opa/release.py
	@rm -f $(BIN)/opa && opa=$$($(BIN)/regate opa) && ln -s "$$opa" $(BIN)/opa
	@touch $@

$(STAMPS)/examples: requirements/examples.txt $(STAMPS)/run
	$(BIN)/python -m pip install -q --require-hashes -r requirements/examples.txt
	@touch $@

$(STAMPS)/test: requirements/test.txt $(STAMPS)/run
	$(BIN)/python -m pip install -q --require-hashes -r requirements/test.txt
	@touch $@

$(STAMPS)/deploy: scripts/deploy_tools.sh
	@sh scripts/deploy_tools.sh .cache/deploy/bin
	@mkdir -p $(STAMPS) && touch $@

# Where Redis or a registry cannot be had, the tests that need it are skipped and say so.
$(STAMPS)/redis: scripts/redis.sh
	@sh scripts/redis.sh .cache/redis
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/registry: scripts/registry.sh
	@sh scripts/registry.sh .cache/registry
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/uv: $(STAMPS)/venv
	$(BIN)/python -m venv .cache/uv
	.cache/uv/bin/pip install -q uv
	@touch $@
