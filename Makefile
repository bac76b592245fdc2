# What can be done with this checkout. `make setup` needs Python 3.11 or later and a network once;
# everything after it is offline. PYTHON=/path/to/python chooses the interpreter.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup run test test-all synthea sequences mutations matrix oracle model county year outage answers attacks test-clients test-browser chaos races bench audit sbom lint format lock clean reset

BIN := .venv/bin
PY := $(BIN)/python
PYTHON ?=
CHAOS_KILLS ?= 100
CHAOS_CRASHES ?= 5
CHAOS_REFERRALS ?= 10000
RACES ?= 100
FUZZ ?= 10
ATTACKS ?= 10000
MUTATIONS ?= 10000
SEQUENCES ?= 100
WORLDS ?= 200
STORES ?= 200
REFERRALS ?= 10000
OUTAGE ?= 500
FEED_SERVICES ?= 2000
BENCH ?=
PERSONS ?= 500
PAGES ?=

help:
	@sed -n 's/^## //p' Makefile

## make setup     prepare .venv with all that the other targets need
setup: .venv/.dev

## make run       start the hub with a Postgres of its own and a sample community
run: .venv/.run
	@exec $(BIN)/coordhub dev

## make test      format, types, import contracts and tests
test: lint
	$(PY) -m pytest -n 2 --dist loadfile

## make test-all  the same, and the long runs
test-all: test races synthea sequences mutations matrix oracle model county outage answers attacks chaos test-clients test-browser

## make synthea   every Synthea patient at hand sent and read back (where ../shared holds them)
synthea: .venv/.dev
	COORDHUB_SYNTHEA_PATIENTS=39 $(PY) -m pytest tests/sandbox/test_load_synthea.py

## make sequences  long random sequences of interactions, and all that is stored consistent after each
sequences: .venv/.dev
	COORDHUB_SEQUENCES=$(SEQUENCES) COORDHUB_SEQUENCE_LENGTH=80 $(PY) -m pytest tests/fhir/test_sequences.py

## make races     S09: two of five accept in the same moment, a hundred times
races: .venv/.dev
	COORDHUB_JOURNEY_RACES=$(RACES) $(PY) -m pytest tests/journeys/test_s09_first_accept_wins.py -s

## make mutations  a good referral changed at random 10,000 times: never a 5xx, nothing half stored
mutations: .venv/.dev
	COORDHUB_JOURNEY_MUTATIONS=$(MUTATIONS) $(PY) -m pytest tests/journeys/test_s29_dirty_bundle.py -k mutated -s

## make matrix    every path for every role under every policy, and random worlds: seen as an oracle says
matrix: .venv/.dev
	COORDHUB_MATRIX=full COORDHUB_MATRIX_WORLDS=$(WORLDS) $(PY) -m pytest tests/confidentiality -s

## make oracle    random searches of random small stores, answered as R4's words say
oracle: .venv/.dev
	COORDHUB_SEARCH_WORLDS=$(STORES) $(PY) -m pytest tests/store/test_search_oracle.py

## make model     every state that three recipients and three needs of a referral can come to
model: .venv/.dev
	COORDHUB_MODEL=full $(PY) -m pytest tests/referral/test_model.py -s

## make year      a year of orders of 500 persons: who is warned, beside what an oracle says that knows everything
year: .venv/.dev
	COORDHUB_YEAR_PERSONS=$(PERSONS) $(PY) -m pytest tests/insight/test_year_of_orders.py -s

## make county    a month of a county: 200 services, 10,000 referrals, every one ends or waits for somebody
county: .venv/.dev
	COORDHUB_COUNTY_REFERRALS=$(REFERRALS) COORDHUB_COUNTY_SERVICES=200 COORDHUB_COUNTY_PARTS=2 \
		COORDHUB_COUNTY_CHECKS=720 $(PY) -m pytest tests/county -s

## make feed      S32 with a county of 2,000 services, read again and again
feed: .venv/.dev
	COORDHUB_FEED_SERVICES=$(FEED_SERVICES) $(PY) -m pytest tests/journeys/test_s32_county_feed.py --durations 3

## make outage    a partner away for two hours, 500 referrals for it, twenty others that do not notice
outage: .venv/.dev
	COORDHUB_S17_REFERRALS=$(OUTAGE) $(PY) -m pytest tests/journeys/test_s17_two_hours.py -s

## make answers   10,000 answers of a partner changed at random, and as many notifications and answers sent
##                to the hub: each of a class, kept with a reason
answers: .venv/.dev
	COORDHUB_MUTATED_ANSWERS=$(MUTATIONS) COORDHUB_MUTATED_NOTIFICATIONS=$(MUTATIONS) $(PY) -m pytest \
		tests/routing/test_mutated_answers.py tests/journeys/test_mutated_notifications.py -s

## make attacks   10,000 forged, altered, late, replayed assertions and tokens: none let in, all hear the same
attacks: .venv/.dev
	COORDHUB_ATTACKS=$(ATTACKS) $(PY) -m pytest tests/authorization/test_attacks.py tests/authorization/test_app_attacks.py \
		tests/authorization/test_elsewhere.py tests/authorization/test_app_opened.py \
		tests/authorization/test_bound.py -s

## make chaos     10,000 referrals; server, workers and Postgres killed at random, partners at their worst,
##                clocks off; with CHAOS_REFERRALS=1000 CHAOS_KILLS=30 CHAOS_CRASHES=2 it takes minutes
chaos: .venv/.dev
	COORDHUB_CHAOS_KILLS=$(CHAOS_KILLS) COORDHUB_CHAOS_REFERRALS=$(CHAOS_REFERRALS) \
		COORDHUB_CHAOS_CRASHES=$(CHAOS_CRASHES) \
		$(PY) -m pytest -m chaos

## make test-clients  real clients, generated ones and schemathesis against a running hub (needs npm and Chromium);
##                FUZZ=100 is random cases for each operation, 10 when nothing is said
test-clients: .venv/.dev
	COORDHUB_FUZZ=$(FUZZ) $(PY) tests/clients/play.py

## make test-browser  journeys in Chromium, each page judged by axe (needs npm and Chromium); pictures in .browser/seen;
##                PAGES=privacy looks at pages with this in their path, and plays no journey
test-browser: .venv/.dev
	COORDHUB_PAGES=$(PAGES) $(PY) tests/journeys/browser/play.py $(if $(PAGES),-k every_page)

## make bench     what the hub costs beside Postgres alone; BENCH="ladder --rungs 1000,4000" and others
bench: .venv/.dev
	@$(PY) -m bench $(BENCH)

## make audit     everything locked has hashes and a licence that is let through, and fits together
audit: .venv/.dev
	$(PY) .ci/inventory.py audit

## make sbom      what the hub is made of, as CycloneDX: build/sbom.json
sbom: .venv/.dev
	@mkdir -p build
	$(PY) .ci/inventory.py sbom > build/sbom.json

## make lint      format, types and import contracts
lint: .venv/.dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command as lint; lint()'

## make format    write what lint asks for, README's table of settings, openapi/coordhub.json
format: .venv/.dev
	$(PY) .ci/readme
	$(BIN)/coordhub openapi openapi/coordhub.json
	$(BIN)/coordhub openapi --admin openapi/admin.json
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

## make lock      renew requirements*.lock, and tests/clients/requirements.txt (needs uv)
PINS = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate
LOCK = $(PINS) pyproject.toml --group build
lock:
	$(LOCK) --output-file requirements.lock
	$(LOCK) --group dev --constraints requirements.lock --output-file requirements-dev.lock
	$(PINS) tests/clients/requirements.in --output-file tests/clients/requirements.txt

## make reset     forget the data of `make run` (stop it first)
reset:
	@if [ -f .coordhub/postgres.path ]; then rm -rf "$$(cat .coordhub/postgres.path)"; fi
	rm -rf .coordhub

## make clean     remove .venv and caches
clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .clients .browser build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@.ci/environment create $(if $(PYTHON),"$(PYTHON)")

.venv/.run: pyproject.toml requirements.lock | .venv/bin/python
	@.ci/environment install requirements.lock
	@touch $@

.venv/.dev: pyproject.toml requirements-dev.lock | .venv/bin/python
	@.ci/environment install requirements-dev.lock
	@touch $@ .venv/.run
