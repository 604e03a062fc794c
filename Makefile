# make demo: set everything up and run the whole pipeline on the embedded demo data set
# make test: set everything up and run the tests
SHELL := /bin/sh
# What is of another Python, or has pip install elsewhere.
unexport PYTHONHOME PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON
export PIP_USER := 0
PYTHON ?= $(shell unset PYTHONHOME PYTHONPATH; for p in python3.13 python3.12 python3.11 python3; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; break; fi; done)
# Which build of PyTorch an empty environment gets on Linux: auto (CUDA where there is an NVIDIA GPU), cpu or cuda.
TORCH ?= auto
$(if $(filter auto cpu cuda,$(TORCH)),,$(error TORCH=$(TORCH): auto, cpu or cuda))
# Where PyTorch's builds for CPUs are.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
export TORCH TORCH_INDEX
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
# Made when the loops of ear, metrics, hearing aid and site are compiled.
COMPILED := $(VENV)/.compiled
LOOPS := $(foreach room,ear fitting kernels metrics report/site/sound,$(wildcard src/hearlab/$(room)/*.py))
# Python may be another since, the folder may have been moved, and another PyTorch may be wanted.
ifneq ($(wildcard $(INSTALLED)),)
STATE := $(shell TORCH='$(TORCH)' $(BIN)/python -I tools/environment.py state 2>/dev/null)
ifeq ($(STATE),moved)
MOVED := mend
else ifneq ($(STATE),ready)
STALE := again
endif
endif
# Packages of one's own may be on PYTHONPATH; none of them hides one of the environment.
ifneq ($(PYTHONPATH),)
OWN_PATH := $(PYTHONPATH)
export PYTHONPATH = $(shell echo "$(CURDIR)"/$(VENV)/lib/python3*/site-packages):$(OWN_PATH)
endif
# dvc and the stages that it calls are those of the environment.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: install demo learn site docs test test-slow soak lint format scores mlflow bench bench-scaling peer fresh clean help mend again

demo: $(INSTALLED) $(COMPILED)
	@sh tools/scm.sh
	@dvc repro
	@echo
	@hearlab scores
	@echo
	@hearlab report
	@sh tools/next-steps.sh

install: $(INSTALLED)

# A hearing aid that is trained by HASPI, compared with the baseline of the last commit (docs/learning.md).
learn: $(INSTALLED) $(COMPILED)
	@dvc repro score_speech
	@dvc exp run -S enhance.system=hearlab.systems.learned:Learned $(SET) score_speech
	@echo
	@hearlab compare HEAD workspace --metric haspi --by snr,severity
	@echo
	@hearlab report --against HEAD

# The tests of a file stay together: what they share is made once.
test: $(INSTALLED_DEV) $(COMPILED)
	@pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" tests

test-slow: $(INSTALLED_DEV)
	@pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow tests

# Random actions, each followed by a run that is compared with one from nothing (docs/reliability.md).
soak: $(INSTALLED_DEV)
	@HEARLAB_SOAK_MINUTES=$(or $(MINUTES),15) HEARLAB_SOAK_SEED=$(SEED) pytest -q -s tests/soak

lint: $(INSTALLED_DEV)
	ruff format --check src tests benchmarks tools examples
	ruff check src tests benchmarks tools examples
	mypy
	@python tools/house.py --check

format: $(INSTALLED_DEV)
	ruff format src tests benchmarks tools examples
	ruff check --fix src tests benchmarks tools examples

scores: $(INSTALLED)
	@hearlab scores

# The pages to listen and look, from what is there; OPEN=1 opens them in the browser.
site: $(INSTALLED)
	@hearlab report $(if $(OPEN),--open)

# The documentation as pages in build/docs. Its notebooks run on the demo's results, so make demo comes first. With --quiet
# MkDocs counts no warnings, and strict would mean nothing.
docs: $(INSTALLED_DEV)
	@NO_MKDOCS_2_WARNING=1 python -m mkdocs build
	@echo "build/docs/index.html"

# All runs in MLflow's user interface; PORT=5001 chooses another port.
mlflow: $(INSTALLED)
	@hearlab track --ui --port $(or $(PORT),5000)

# Speed and agreement beside pyclarity 0.9.0, which gets an environment of its own (docs/notes/bench.md); then what a
# person waits for besides.
bench: $(INSTALLED) $(COMPILED)
	@python benchmarks/bench.py
	@python benchmarks/way.py

bench-scaling: $(INSTALLED)
	@python benchmarks/bench.py --scaling

peer: $(INSTALLED)
	@python benchmarks/peer.py

# make demo (TARGETS="demo test": both) in a bare Debian that is made for it; as root, with debootstrap.
fresh:
	@sh tools/fresh.sh

# What can be made again: the environment and caches. Data, results and the DVC cache stay.
clean:
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache
	find src tests benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} +

help:
	@echo "make install the environment in .venv alone"
	@echo "make demo    install, run the pipeline on the demo data set, write the pages to listen (TORCH=cpu, TORCH=cuda)"
	@echo "make learn   train a hearing aid by HASPI on the demo, compare it with the baseline (SET='-S learn.loss=spectral')"
	@echo "make site    write the pages to listen and look (OPEN=1: and open them)"
	@echo "make docs    write the documentation as pages, after make demo"
	@echo "make test    install, run the tests (make test-slow: the slow ones)"
	@echo "make soak    random actions against runs from nothing (MINUTES=60 SEED=7)"
	@echo "make lint    format, lint, types, and the rules of docs/architecture.md"
	@echo "make bench   speed and memory beside the published implementation"
	@echo "make peer    agreement with the published implementation on random cases"
	@echo "make scores  print the scores of the last run"
	@echo "make mlflow  all runs in MLflow's user interface"
	@echo "make clean   remove the environment and caches"

# After the folder was moved or copied.
mend:
	@echo "Mending the environment in $(VENV): it was made in another folder"
	@$(BIN)/python -I tools/environment.py mend

$(INSTALLED): pyproject.toml constraints.txt $(STALE) | $(MOVED)
	@test -n "$(PYTHON)" || { echo "HearLab needs Python 3.11 or newer: install it, or make PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" tools/environment.py install pipeline,music

$(COMPILED): $(LOOPS) | $(INSTALLED)
	@$(BIN)/python tools/kernels.py && { touch $@ 2>/dev/null || true; } # an environment of others may be read-only

$(INSTALLED_DEV): $(INSTALLED)
	@"$(PYTHON)" tools/environment.py install pipeline,music,remotes,postgresql,dev,docs
