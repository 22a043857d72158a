# make study   a fresh machine: environment, then the default study
# make test    a fresh machine: environment, then the fast tests
# make example a fresh machine: environment, then the report of recorded runs

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check
TORCH_VERSION := $(shell sed -n 's/^torch==//p' requirements.lock)

# Where no NVIDIA driver answers, the CPU build of torch is tenfold smaller. A local version such
# as 2.13.0+cpu ranks above 2.13.0, so pip prefers it wherever that index offers one.
TORCH_INDEX := $(shell nvidia-smi -L >/dev/null 2>&1 || \
	echo "--retries 1 --extra-index-url https://download.pytorch.org/whl/cpu")

.PHONY: study scaling example test test-all lint lock
.DELETE_ON_ERROR:

study: $(VENV)/ready
	$(RUN) sweeps/run.py sweep=formulations

scaling: $(VENV)/ready
	$(RUN) sweeps/run.py sweep=scaling

example: $(VENV)/ready
	test -d outputs/example || $(RUN) analysis/example.py to=outputs/example
	$(RUN) analysis/report.py sweep=formulations output_dir=outputs/example
	$(RUN) analysis/report.py sweep=scaling output_dir=outputs/example

test: $(VENV)/ready
	$(RUN) -m pytest -n auto

test-all: $(VENV)/ready
	$(RUN) -m pytest -n auto -m "slow or not slow"

lint: $(VENV)/ready
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
	sys.exit(None if (3, 11) <= v < (3, 14) else \
	"Python 3.11 to 3.13 is needed, %s is %d.%d; use make PYTHON=python3.x ..." \
	% (sys.executable, v.major, v.minor))'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet $(TORCH_INDEX) torch==$(TORCH_VERSION)
	$(PIP) install --quiet -r requirements.lock
	$(PIP) install --quiet --no-deps --editable .
	touch $@

# Resolve anew from pyproject.toml's ranges and write the lock (in a throw-away environment).
lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet $(TORCH_INDEX) torch -e '.[test]'
	build/lock/bin/python -m pip freeze --exclude-editable | sed 's/^\(torch==[^+]*\)+.*/\1/' \
		> requirements.lock
