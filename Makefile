# Each target does its own set-up in .venv; it needs Python 3.11 and nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

BIN := .venv/bin
# torch stays pinned at every install: an open range pulls gigabytes of CUDA packages on a machine without a GPU
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt torch==2.13.0
DEMO := runs/demo

# small models: threads that wait for each other cost more than they bring
demo figures notebooks examples test: export OMP_NUM_THREADS ?= 1

.PHONY: help demo test test-slow lint bench bench-ui figures lab notebooks docs examples

help:
	@echo "make demo       measure the shipped model on 200 + 200 published questions, draw the figures"
	@echo "make test       fast tests        make test-slow  the long ones"
	@echo "make lint       ruff, mypy        make bench      time and memory, JSON lines"
	@echo "make figures    the gallery       make notebooks  run the notebooks as scripts"
	@echo "make bench-ui   seconds of figures and of the explorer"
	@echo "make lab        JupyterLab       make docs       the pages, in build/site"
	@echo "make examples   run what the pages show"

.venv/bin/python:
	@for python in python3.11 python3 python; do
	  if command -v $$python > /dev/null && $$python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2> /dev/null; then
	    exec $$python -m venv .venv
	  fi
	done
	echo "Python 3.11 is not on the PATH; install it (python3.11 with its venv module) and run make again" >&2
	exit 3

.venv/.run: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing vaslab into .venv" >&2
	$(INSTALL) -e .
	touch $@

.venv/.dev: .venv/.run
	@$(INSTALL) -e '.[dev,train]'
	touch $@

# settings of this environment alone: a double click opens a .py as a notebook, and no news are fetched
LABCONFIG := .venv/etc/jupyter/labconfig/default_setting_overrides.json

.venv/.lab: .venv/.run notebooks/.lab.json
	@$(INSTALL) -e '.[lab,train]'
	install -D -m 644 notebooks/.lab.json $(LABCONFIG)
	touch $@

.venv/.docs: .venv/.run
	@$(INSTALL) -e '.[docs]'
	touch $@

demo: .venv/.run
	@$(BIN)/vaslab doctor organism:base
	for data in easy-vqa glyph; do
	  $(BIN)/vaslab measure --model organism:base --data $$data --limit 200 --out $(DEMO)-$$data --overwrite
	  $(BIN)/vaslab figure heads $(DEMO)-$$data --out figures/demo --stem heads-$$data
	  $(BIN)/vaslab figure lazy $(DEMO)-$$data --out figures/demo --stem lazy-$$data
	done
	echo "figures: $$(ls figures/demo/*.html figures/demo/*.png 2> /dev/null | tr '\n' ' ')"
	$(BIN)/vaslab show $(DEMO)-easy-vqa $(DEMO)-glyph

test: .venv/.dev
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

test-slow: .venv/.dev .venv/.lab
	@$(BIN)/python -m pytest -m slow --timeout 3600

lint: .venv/.dev
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.run .venv/.dev
	@$(BIN)/python -m bench.attention
	$(BIN)/python -m bench.generation
	$(BIN)/python -m bench.intervention --out bench/results/intervention-cpu.jsonl
	$(BIN)/python -m bench.training --out bench/results/training-cpu.jsonl
	$(BIN)/python -m bench.grpo --out bench/results/grpo-cpu.jsonl
	$(BIN)/python -m bench.tables

bench-ui: .venv/.lab .venv/.dev
	@$(BIN)/python -m bench.ui
	$(BIN)/python -m bench.ui_explorer

figures: .venv/.dev
	@$(BIN)/python figures/make.py

notebooks: .venv/.lab
	@for notebook in notebooks/*.py; do $(BIN)/python "$$notebook"; done

lab: .venv/.lab
	@$(BIN)/jupyter lab notebooks

examples: .venv/.dev .venv/.lab
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 -m "slow or not slow" tests/docs/test_examples.py

docs: .venv/.docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	echo "build/site/index.html"
