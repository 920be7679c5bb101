# make demo    set everything up and run the demo: outputs/demo.mp4, demo_restored.mp4
# make test    format, lint, types and tests, as the continuous integration runs them
# make test-all   the tests, with each of Python 3.11 and 3.12 that is there
# make resolve     whether requirements.txt can be had for both; installs nothing
# make lint | format | clean
#
# PYTHON=python3.11   the interpreter that the virtual environment is made with (3.11 or 3.12)

PYTHON ?= python3
VERSIONS := 3.11 3.12
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
OPENCV = $(shell sed -n 's/^opencv-contrib-python==\([0-9.]*\).*/\1/p' requirements.txt)
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))

.DEFAULT_GOAL := demo
.DELETE_ON_ERROR:
.PHONY: demo test test-all resolve lint format clean

demo: $(VENV)/.installed
	@echo "Lip-sync: assets/demo_speaker.mp4 says what is in assets/demo_speech.wav ..."
	@$(BIN)/python -m scripts.inference --config configs/demo.yaml --overwrite
	@echo "Restoration alone: the soft mouth of assets/demo_lipsynced.mp4, learnt from the original ..."
	@$(BIN)/python -m inference --input assets/demo_lipsynced.mp4 --output outputs/demo_restored.mp4 \
		--superres Self --reference assets/demo_talking.mp4 --overwrite
	@echo "Done: look at outputs/demo.mp4 and outputs/demo_restored.mp4."

test: lint
	$(BIN)/python -m mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-all:
	@ran=; for version in $(VERSIONS); do \
		python$$version -c '' 2>/dev/null || { echo "no python$$version here: not tested"; continue; }; \
		ran=yes; echo "Python $$version"; \
		$(MAKE) --no-print-directory test PYTHON=python$$version VENV=.venv-$$version || exit; \
	done; test -n "$$ran" || { echo "error: none of Python $(VERSIONS) is there" >&2; exit 2; }

resolve:
	@$(PYTHON) .ci/resolve.py $(VERSIONS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(VERSIONS:%=.venv-%) outputs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c '$(FITS)' 2>/dev/null || { echo "error: $(PYTHON) is not Python 3.11 or 3.12; name one that is: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 2; }
	@echo "[1/3] virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "error: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@echo "[2/3] packages of requirements.txt (some minutes the first time)"
	@$(PIP) -r requirements.txt
	@echo "[3/3] OpenCV without a display"
	@$(PIP) --no-deps --force-reinstall opencv-contrib-python-headless==$(OPENCV)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "packages of requirements-dev.txt"
	@$(PIP) -r requirements-dev.txt
	@touch $@
