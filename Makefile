# make demo   the whole system on this machine: simulated Reddit, embedded broker, a proof at the end
# make test   every test; those on Apache Kafka skip, with a reason, where there is no JVM or Maven
# make bench  speed and memory, each figure beside a named baseline of the same run
# make soak   storms of bad answers until SOAK seconds (600) are over, each with a seed that repeats it;
#             SOAK_OPTIONS="--part scraper --seed 7 --rounds 1" chooses stream, scraper or processes, and a seed
# make lint   style, types, import directions, known vulnerabilities of the locked packages
# make lock   pin the dependencies anew

# the first Python that is new enough; or say `make PYTHON=/path/to/python demo`
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
SECONDS ?= 60
SOAK ?= 600

.PHONY: demo test bench soak lint lock clean python

demo: $(VENV)/run
	@$(BIN)/python -m supervisor demo --duration $(SECONDS)

test: $(VENV)/dev
	@$(BIN)/python -m pytest -n 5 --dist worksteal

bench: $(VENV)/dev
	@$(BIN)/python -m bench

soak: $(VENV)/dev
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

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

python:
	@test -n "$(PYTHON)" || { echo "Gapless needs Python 3.11 or newer: install it, or say make PYTHON=/path/to/python3.11 …"; exit 1; }

$(VENV)/run: requirements.lock | python
	@echo "Installing into $(VENV) (once) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/dev: requirements-dev.lock $(VENV)/run
	@echo "Installing the tools for tests (once) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
