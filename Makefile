# `make help` lists what there is. VENV and PYTHON may be given: make test VENV=/tmp/mine
PYTHON ?= python3
VENV ?= .venv
BUILD := _build
BIN = $(abspath $(VENV))/bin
STAMP = $(VENV)/.installed
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
CHAPTERS = $(wildcard notebooks/*.md)
# runs ruff with the words $(1) on the cells of every chapter, under the chapter's own name; cells
# are 80 columns wide, which is what a page holds
on_cells = @for f in $(CHAPTERS); do $(BIN)/jupytext --quiet --to ipynb --output - $$f \
  | $(BIN)/ruff $(1) --line-length 80 --stdin-filename $${f%.md}.ipynb - || failed=1; done; test -z "$$failed"

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# the tests start many processes, each of which would compile the package again
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(BIN):$(PATH)
# the chapters multiply many small matrices: a second thread only waits for the first
export OMP_NUM_THREADS ?= 1
# kernels are forks of one that has imported; local-provisioner starts each by itself
export JUPYTER_DEFAULT_PROVISIONER_NAME ?= phase-book-forked

.PHONY: help venv book lab zip pdf packages publish links test test-gpu scheduled compiled portability lowest lint format types references requirements lock clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ': .*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' Makefile

venv: $(STAMP) ## create $(VENV) with the pinned requirements and the package

# LOCKED=1, which the workflows set: every file but torch's has a hash that requirements.lock knows
LOCKED ?=

$(STAMP): requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -z "$(LOCKED)" || $(BIN)/python -m pip install --quiet --no-deps --require-hashes \
	  --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(STAMP)

book: $(STAMP) ## build the book; the first build executes the chapters
	$(BIN)/jupyter-book build . -W -n --keep-going || { rm -rf $(BUILD)/.doctrees; exit 1; }
	@echo "The book: $(BUILD)/html/index.html"

# chapters open as notebooks at a double click, here and not in the reader's own settings
LAB_SETTINGS = $(abspath $(BUILD))/lab-settings
DOCUMENTS = $(LAB_SETTINGS)/@jupyterlab/docmanager-extension

lab: $(STAMP) ## open the chapters in JupyterLab; adds jupyterlab to $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[lab]'
	mkdir -p $(DOCUMENTS)
	echo '{"defaultViewers": {"markdown": "Jupytext Notebook"}}' \
	  > $(DOCUMENTS)/plugin.jupyterlab-settings
	JUPYTERLAB_SETTINGS_DIR=$(LAB_SETTINGS) $(BIN)/jupyter lab --notebook-dir notebooks

zip: book ## the book as one file that needs no network: _build/phase-book-VERSION.zip
	$(BIN)/python book/offline.py

# tests of what the compiled engine trains
COMPILED = compiled hysteresis methods networks promise sweeps training

# what prints the book, and the Debian packages that have it
PRINTERS = latexmk xelatex rsvg-convert
PACKAGES = latexmk texlive-xetex texlive-latex-recommended texlive-latex-extra \
  texlive-fonts-recommended tex-gyre fonts-freefont-otf librsvg2-bin

pdf: $(STAMP) ## the book in print: _build/phase-book-VERSION.pdf; needs LaTeX
	@for tool in $(PRINTERS); do command -v $$tool >/dev/null || { \
	  echo "make pdf needs $$tool. On Debian or Ubuntu: apt-get install $(PACKAGES)"; exit 1; }; done
	$(BIN)/jupyter-book build . --builder latex -W -n --keep-going \
	  || { rm -rf $(BUILD)/.doctrees; exit 1; }
	@$(MAKE) --no-print-directory -C $(BUILD)/latex all-pdf \
	  LATEXMKOPTS='-interaction=batchmode -halt-on-error -quiet' \
	  || { tail -n 40 $(BUILD)/latex/phase-book.log; rm -rf $(BUILD)/latex; exit 1; }
	cp $(BUILD)/latex/phase-book.pdf $(BUILD)/phase-book-$(VERSION).pdf
	@echo "The book in print: $(BUILD)/phase-book-$(VERSION).pdf"

packages:
	@echo $(PACKAGES)

# a commit of the pages alone, with no history: each one replaces the last; what serves pages that
# are opened as files stays out
publish: ## push what book, zip and pdf built to the branch gh-pages of origin
	cp $(BUILD)/phase-book-$(VERSION).zip $(BUILD)/html/phase-book.zip
	cp $(BUILD)/phase-book-$(VERSION).pdf $(BUILD)/html/phase-book.pdf
	touch $(BUILD)/html/.nojekyll
	index=$$(mktemp -d)/index; export GIT_INDEX_FILE=$$index; \
	git --work-tree=$(BUILD)/html add --all --force . ':(exclude)_static/beside' && tree=$$(git write-tree) && \
	commit=$$(git -c user.name=pages -c user.email=pages@localhost \
	  commit-tree -m "Pages of $$(git rev-parse HEAD)" $$tree) && \
	git push --force origin $$commit:refs/heads/gh-pages
	rm $(BUILD)/html/phase-book.zip $(BUILD)/html/phase-book.pdf

links: $(STAMP) ## ask every address outside the book whether it is still there; needs a network
	$(BIN)/jupyter-book build . --builder linkcheck --keep-going

test: $(STAMP) ## run all tests: package, chapters against their references, built pages
	$(BIN)/python -m pytest -n auto --maxprocesses 4

test-gpu: $(STAMP) ## run the tests that need a GPU; fails without one
	PHASE_BOOK_REQUIRE_GPU=1 $(BIN)/python -m pytest -m gpu tests/test_devices.py

scheduled: $(STAMP) ## run the long tests that `make test` leaves out; those of pages need the book
	$(BIN)/python -m pytest -n auto --maxprocesses 4 -m scheduled

compiled: $(STAMP) ## run the tests of training, and the chapters, where numba compiles; adds numba to $(VENV)
	$(BIN)/python -m pip install --quiet --constraint requirements.txt --editable '.[fast]'
	$(BIN)/python -m pytest -n auto --maxprocesses 4 tests/reference \
	  $(addprefix tests/test_,$(addsuffix .py,$(COMPILED)))
	NUMBA_CPU_NAME=generic $(BIN)/python -m pytest -n auto --maxprocesses 4 tests/test_compiled.py

portability: $(STAMP) ## run the numerical tests as other machines would; MACHINES="old avx2" chooses
	$(BIN)/python tests/portability.py $(MACHINES)

# what an old package says of a newer one that it needs is not ours to repair
lowest: ## run the package's tests with the lowest declared version of everything; needs Python 3.11
	rm -rf $(BUILD)/lowest
	$(PYTHON) -m venv $(BUILD)/lowest
	$(PYTHON) tests/lowest.py > $(BUILD)/lowest/minima.txt
	$(BUILD)/lowest/bin/python -m pip install --quiet --requirement $(BUILD)/lowest/minima.txt
	$(BUILD)/lowest/bin/python -m pip install --quiet --no-deps --editable .
	$(BUILD)/lowest/bin/python -m pytest -n auto --maxprocesses 4 -W default::DeprecationWarning \
	  --ignore tests/reference --ignore tests/web --ignore tests/test_packaging.py \
	  --ignore tests/test_types.py
	rm -rf $(BUILD)/lowest

lint: $(STAMP) ## check style and spelling, the chapters' cells too
	$(BIN)/typos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(call on_cells,check --quiet)
	$(call on_cells,format --check --diff --quiet)

format: $(STAMP) ## rewrite files in the project's style, the chapters' cells too
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python book/format_cells.py $(CHAPTERS)

types: $(STAMP) ## check the types of the package
	$(BIN)/mypy phase_utils

references: $(STAMP) ## record anew what the chapters' outputs are compared with
	$(BIN)/python tests/references.py

requirements: ## pin anew: install what pyproject.toml asks for in a fresh environment and list it
	rm -rf $(BUILD)/pins
	$(PYTHON) -m venv $(BUILD)/pins
	$(BUILD)/pins/bin/python -m pip install --quiet '.[dev]'
	{ sed -n '/^#/p' requirements.txt; \
	  $(BUILD)/pins/bin/python -m pip list --format=freeze --exclude pip --exclude phase-utils \
	  | sed 's/+.*//' | grep -Ev '^(nvidia|cuda|triton)' | LC_ALL=C sort -f; } > $(BUILD)/requirements.txt
	mv $(BUILD)/requirements.txt requirements.txt
	rm -rf $(BUILD)/pins
	$(MAKE) lock

lock: ## record the hashes of the pinned packages' files, for every platform: requirements.lock
	rm -rf $(BUILD)/lock
	$(PYTHON) -m venv $(BUILD)/lock
	$(BUILD)/lock/bin/python -m pip install --quiet uv
	{ sed -n '/^#/p' requirements.lock; grep -Ev '^(#|torch==)' requirements.txt \
	  | $(BUILD)/lock/bin/uv pip compile --quiet --no-deps --universal --generate-hashes --no-header \
	    --no-annotate --python-version \
	    $$($(PYTHON) -c 'import platform; print(platform.python_version())') -; } > $(BUILD)/lock/new
	mv $(BUILD)/lock/new requirements.lock
	rm -rf $(BUILD)/lock

clean: ## remove the built book and its cache
	rm -rf $(BUILD)
