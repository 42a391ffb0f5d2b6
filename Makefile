# make demo: install what the toolkit needs, run the main job on the demo data.
# make test, real, check: install what development needs too, then the tests or the lint.
# make browser: the tests of the page in a headless Chromium, where there is one.
# make shipped-model: the trained model and the atlas of the package, from the data of $MIRNAGRAPH_DATA.
# make docs: the documentation site, in build/site.
# make stress: checks of about an hour on two cores, before an issue is called resolved.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: setup setup-dev demo test real browser check shipped-model stress clean

setup: $(VENV)/.installed

setup-dev: $(VENV)/.installed-dev

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e '.[report,web]'
	touch $@

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e '.[dev]'
	touch $(VENV)/.installed $@

# The folder's python is a link whose date is that of the interpreter: it is made once and never remade.
$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("mirnagraph needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

demo: setup
	$(BIN)/mirnagraph build-networks --out runs/demo-networks --overwrite
	$(BIN)/mirnagraph train --networks runs/demo-networks --fold 10 --out runs/demo --overwrite

test: setup-dev
	$(BIN)/python -m pytest -n 2

real: setup-dev
	$(BIN)/python -m pytest -m 'real or slow' -n 2

browser: setup-dev
	$(BIN)/python -m pytest -m browser -rs

check: setup-dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

shipped-model: setup
	$(BIN)/mirnagraph build-networks --data mirna1041 --out build/networks --overwrite
	$(BIN)/mirnagraph train --networks build/networks --rnas located --fold 10 --seed 0 --out build/shipped --overwrite
	$(BIN)/mirnagraph export build/shipped fusion/shipped --license other --networks build/networks --overwrite
	$(BIN)/mirnagraph atlas --run fusion/shipped --out data/atlas/atlas.tsv.gz

.PHONY: docs
docs: setup-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# Two at a time, the longest first, each with its output at its end; one that fails stops no other.
STRESS := every-write mutations kills interrupts fuzz overwrite large-fasta planted
.PHONY: $(STRESS:%=stress-%)

stress: setup-dev
	$(MAKE) --no-print-directory -j2 -k -O $(STRESS:%=stress-%)

stress-every-write:
	MIRNAGRAPH_EVERY_WRITE=1 $(BIN)/python -m pytest -m slow tests/integration/test_bad_disk.py -k every_write -s

stress-mutations:
	$(BIN)/python benchmarks/mutation_check.py --workers 1

stress-kills:
	$(BIN)/python benchmarks/kill_and_resume.py --kills 20

stress-interrupts:
	$(BIN)/python benchmarks/kill_and_resume.py --kills 20 --signals INT TERM

stress-fuzz:
	MIRNAGRAPH_FUZZ_SECONDS=600 $(BIN)/python -m pytest -m slow tests/property/test_damaged_files.py tests/integration/test_damaged_folders.py -s

stress-overwrite:
	$(BIN)/python benchmarks/kill_and_resume.py --kills 4 --overwrite

stress-large-fasta:
	$(BIN)/python benchmarks/large_fasta.py

stress-planted:
	$(BIN)/python benchmarks/planted_proof.py

clean:
	rm -rf $(VENV) build *.egg-info networks runs
