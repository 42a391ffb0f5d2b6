# make demo: set up and run the main job on the demo data.  make test: the same set-up, then the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: setup demo test real check clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("mirnagraph needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(BIN)/mirnagraph build-networks --out runs/demo-networks --overwrite
	$(BIN)/mirnagraph train --networks runs/demo-networks --fold 10 --out runs/demo --overwrite

test: setup
	$(BIN)/python -m pytest -n 2

real: setup
	$(BIN)/python -m pytest -m 'real or slow' -n 2

check: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

clean:
	rm -rf $(VENV) build *.egg-info networks runs
