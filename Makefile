# Everything runs in .venv, which is made on first use and again when the two files that decide it change.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help book test browser pdf notebooks reproduce clean
help:
	@echo "make book       environment, the quickstart on this machine, the book in _build/html (five minutes)"
	@echo "make test       every check that the project has (thirteen minutes)"
	@echo "make browser    every page looked at in Chromium; what was found goes to the book (three minutes)"
	@echo "make pdf        the book as one PDF, printed by Chromium and linked from its start page (two minutes after the book)"
	@echo "make notebooks  execute every notebook in place: what the book shows"
	@echo "make reproduce  run every study that results/ lacks, then pages and book (days from nothing; a minute when all is there)"
	@echo "make clean      remove what the above made, .venv included"

book: .venv/installed
	$(BIN)/python book/build.py

# Page 05 scans its surfaces for five minutes; the tests above run it on small ones. `make test UNREAD=` compares its outputs too.
UNREAD ?= --ignore notebooks/05_loss_landscape.ipynb
test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests --cov --cov-report term
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile notebooks $(UNREAD) --nbval --nbval-current-env \
	    --nbval-sanitize-with tests/nbval.cfg --nbval-cell-timeout 900

browser: .venv/installed
	CPDGAL_REPORT=1 $(BIN)/python -m pytest -q tests/test_browser.py -k no_fault
	$(BIN)/python book/build.py --committed

pdf: .venv/installed
	test -f _build/html/book/index.html || $(BIN)/python book/build.py --committed
	$(BIN)/python book/pdf.py

notebooks: .venv/installed
	$(BIN)/python notebooks/execute.py

# The second call draws the pages from what there is, also where a run of the first failed.
HOW = --snakefile workflow/Snakefile --cores all --quiet rules $(if $(SWEEPS),--config sweeps=$(SWEEPS))
reproduce: .venv/batch
	@$(BIN)/snakemake records $(HOW); records=$$?; $(BIN)/snakemake book $(HOW) && exit $$records

.venv/batch: .venv/installed
	$(BIN)/python -m pip install --quiet --progress-bar on --constraint constraints.txt --editable '.[batch]'
	@test -x $(BIN)/snakemake || { echo "make reproduce needs Snakemake, and that Python 3.11 or later"; exit 1; }
	@touch $@

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("cpdgal needs Python 3.10 or later, and $(PYTHON) is " + sys.version.split()[0] + \
	    "; name another one: make PYTHON=python3.11 ...") if sys.version_info < (3, 10) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --progress-bar on --constraint constraints.txt --editable '.[book,test]'
	@touch $@

clean:
	rm -rf .venv _build runs cpdgal.egg-info .coverage .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
