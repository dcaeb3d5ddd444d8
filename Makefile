# Two commands matter: `make demo` and `make test`. Each makes everything it needs by itself, once; the demo needs less.
# Options, for example `make test PYTHON=python3.12 TORCH=cpu`, are explained in .ci/setup.

BIN := .venv/bin
export PYTHON TORCH SYSTEM

.PHONY: help setup setup-demo demo demo-real test tests lint docs clean

help:
	@echo "make demo    annotate, train, predict and score a synthetic embryo, then look at it in napari (4 minutes at first)"
	@echo "make demo-real   the same on a real mouse embryo"
	@echo "make test    everything that has to hold: style, types, layers, tests"
	@echo "make lint    style, types and layers alone"
	@echo "make docs    write the tables of docs/ anew from the code, and build the site in out/site"
	@echo "make clean   remove what was made, the environment too"

setup:
	@.ci/setup

setup-demo:
	@SETUP=demo .ci/setup

# What one process of a demo has compiled, the next need not.
demo: setup-demo
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/anlage demo -o out/demo

demo-real: setup-demo
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/anlage demo --real -o out/demo-real

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The plugins of pytest that the tests use. Left to itself it loads those of every package, and reads all of napari, zarr and
# hypothesis anew in each process, to rewrite assertions that nobody looks at.
PLUGINS := xdist.plugin,pytest_timeout,pytest_xvfb,pytestqt.plugin,napari.utils._testsupport,_hypothesis_pytestplugin

# Beside each other: the type checker keeps one core busy for most of a minute.
test: setup
	@$(MAKE) --no-print-directory -j 2 lint tests

# A process that crashes fails its test; one started in its place would wait for ever. Many tests start processes of their
# own: what one of them has compiled, the next need not.
tests: setup
	env -u PYTHONDONTWRITEBYTECODE PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTEST_PLUGINS=$(PLUGINS) \
		$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart=0

docs: setup
	$(BIN)/python docs/generate.py
	$(BIN)/sphinx-build -q -W --keep-going -b html -d out/site/.doctrees docs out/site

clean:
	rm -rf .venv out dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +
