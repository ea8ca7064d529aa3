# make install  what Gapless needs, into .venv; then `. .venv/bin/activate`
# make demo   the whole system on this machine: simulated Reddit, embedded broker, a proof at the end
# make test   every promise; tests on Apache Kafka skip, with a reason, where there is no JVM or Maven
# make bench  speed and memory, each figure beside a named baseline of the same run
# make soak   what `make test` leaves out: further variants of its scenarios, more examples of its properties; then
#             storms of bad answers until SOAK seconds (600) are over, each with a seed that repeats it;
#             SOAK_OPTIONS="--part scraper --seed 7 --rounds 1": only storms, of stream, scraper or processes, and a seed
# make lint   style, types, import directions, known vulnerabilities of the locked packages
# make lock   pin the dependencies anew
# make pythons  the interpreters that are found here, oldest first
#
# With PYTHON=python3.13 each of them uses that interpreter; TESTS="tests/core tests/docs" runs a part of the tests.

VERSIONS := 3.11 3.12 3.13 3.14

# $(call find,NAME): NAME where it runs and is new enough, else the newest of that name that pyenv holds, else nothing
RUNS = -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
find = $(shell for p in $(1) $(call reverse,$(sort $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/*/bin/$(1)))); do \
	$$p $(RUNS) && echo $$p && break; done)
reverse = $(if $(1),$(call reverse,$(wordlist 2,$(words $(1)),$(1))) $(firstword $(1)))
version = $(if $(1),$(shell $(1) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null))

# Without PYTHON=…, the first Python that is new enough. With it, .venv is for that Python, or for the one it was made
# with: then the other one has an environment of its own, such as .venv-3.13.
ifeq ($(origin PYTHON),undefined)
CHOSEN := $(or $(call find,python3),$(firstword $(foreach v,$(call reverse,$(VERSIONS)),$(call find,python$(v)))))
VENV := .venv
else
CHOSEN := $(call find,$(PYTHON))
MADE_WITH := $(call version,.venv/bin/python)
VENV := .venv$(if $(MADE_WITH),$(if $(filter $(MADE_WITH),$(call version,$(CHOSEN))),,-$(call version,$(CHOSEN))))
endif
BIN := $(VENV)/bin
# an environment whose interpreter is gone, after an upgrade of the system, is made anew
$(shell test ! -d $(BIN) || test -e $(BIN)/python || rm -f $(VENV)/run $(VENV)/dev)
SECONDS ?= 60
SOAK ?= 600
SOAK_OPTIONS ?=
TESTS ?=

.PHONY: install demo test bench soak lint lock pythons clean python

install: $(VENV)/run
	@echo "Gapless is ready. In each terminal: . $(VENV)/bin/activate"

demo: $(VENV)/run
	@$(BIN)/python -m supervisor demo --duration $(SECONDS)

# Each of five workers would compile all tests: two processes compile them once before.
HALVES = "core docs scraper support" "deploy e2e packaging simulator streams supervisor"
COMPILE = for half in $(HALVES); do PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --collect-only -q \
	$$(printf 'tests/%s ' $$half) >/dev/null & done; wait

test: $(VENV)/dev
	@$(if $(TESTS),,$(COMPILE))
	@$(BIN)/python -m pytest -n 5 --dist worksteal $(TESTS)

bench: $(VENV)/dev
	@$(BIN)/python -m bench

soak: $(VENV)/dev
ifeq ($(SOAK_OPTIONS),)
	@$(BIN)/python -m pytest -n 5 --dist worksteal --soak $(TESTS)
endif
	@$(BIN)/python -m tests.fuzz --seconds $(SOAK) $(SOAK_OPTIONS)

lint: $(VENV)/dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.audit

lock: $(VENV)/dev
	@$(BIN)/pip install --quiet uv
	@for part in "--extra embedded --extra simulator -o requirements.lock" "--all-extras -o requirements-dev.lock"; do \
		$(BIN)/uv pip compile pyproject.toml $$part --upgrade --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-annotate --custom-compile-command "make lock" --quiet || exit 1; done

pythons:
	@$(foreach v,$(VERSIONS),$(addprefix echo ,$(addsuffix ;,$(call find,python$(v)))))

clean:
	rm -rf .venv .venv-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

python:
	@test -n "$(CHOSEN)" || { echo "Gapless needs Python 3.11 or newer$(if $(PYTHON),; $(PYTHON) is not): install it, or say make PYTHON=/path/to/python3.11 …"; exit 1; }

$(VENV)/run: requirements.lock | python
	@echo "Installing into $(VENV) (once) …"
	@$(BIN)/python $(RUNS) || $(CHOSEN) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/dev: requirements-dev.lock $(VENV)/run
	@echo "Installing the tools for tests (once) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
