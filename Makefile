# make demo       install everything into .venv and run the demo: outputs/demo.mp4, outputs/demo_restored.mp4
# make test       check format, lint and types, and run the tests, as continuous integration does
# make test-all   make test with each of Python 3.11, 3.12 and 3.13 that is installed
# make resolve    check that requirements.txt can be installed with each; installs nothing
# make lint       check format and lint
# make format     fix the format
# make clean      remove virtual environments, outputs, builds and caches
#
# PYTHON=python3.11   the interpreter for the virtual environment (3.11, 3.12 or 3.13)
# WORKERS=2           number of parallel test processes

PYTHON ?= python3
VERSIONS := 3.11 3.12 3.13
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))

.DEFAULT_GOAL := demo
.DELETE_ON_ERROR:
.PHONY: demo test test-all resolve lint format clean

demo: $(VENV)/.models
	@echo "Lip-sync: assets/demo_speaker.mp4 with the speech of assets/demo_speech.wav ..."
	@$(BIN)/python -m scripts.inference --config configs/demo.yaml --overwrite
	@echo "Restoration only: the blurry mouth of assets/demo_lipsynced.mp4, with Self fitted to the original video ..."
	@$(BIN)/python -m inference --input assets/demo_lipsynced.mp4 --output outputs/demo_restored.mp4 \
		--superres Self --reference assets/demo_talking.mp4 --overwrite
	@echo "Done: see outputs/demo.mp4 and outputs/demo_restored.mp4."

test: lint  # types are checked, on one core, while the tests run
	$(BIN)/python -m mypy & types=$$!; \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder; \
	tested=$$?; wait $$types && exit $$tested

test-all:
	@export PYENV_VERSION="$$(pyenv versions --bare 2>/dev/null | paste -sd: -)"; \
	ran=; for version in $(VERSIONS); do \
		python$$version -c '' 2>/dev/null || { echo "python$$version not found: not tested"; continue; }; \
		ran=yes; echo "Python $$version"; \
		$(MAKE) --no-print-directory test PYTHON=python$$version VENV=.venv-$$version || exit; \
	done; test -n "$$ran" || { echo "error: no Python of $(VERSIONS) found; install one, such as python3.11" >&2; exit 2; }

resolve:
	@$(PYTHON) .ci/resolve.py $(VERSIONS)

lint: $(VENV)/.installed-dev $(VENV)/.models
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(VERSIONS:%=.venv-%) outputs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.installed: requirements.txt constraints.txt
	@$(PYTHON) -c '$(FITS)' 2>/dev/null || { echo "error: $(PYTHON) is not Python 3.11, 3.12 or 3.13; choose one: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 2; }
	@echo "[1/2] Creating the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "error: $(PYTHON) cannot create virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@echo "[2/2] Installing requirements.txt (some minutes the first time)"
	@$(PIP) -r requirements.txt -c constraints.txt
	@touch $@

# Into checkpoints/face, which make clean leaves; nothing is fetched that is there.
$(VENV)/.models: latentsync/weights/manifest.py $(VENV)/.installed
	@echo "Fetching the models that find faces and hands (6 MB)"
	@$(BIN)/python -m scripts.download --generator replay > /dev/null
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing requirements-dev.txt"
	@$(PIP) -r requirements-dev.txt
	@touch $@
