# Everything runs from a virtual environment that these targets make; nothing needs root but `system-deps`.
#   make run           the main job on this machine; interrupt it anywhere and run it again
#   make test          the tests that need nothing but Python
#   make test-system   the tests that need packages of the operating system (make system-deps)
#   make test-tflite   the tests of the export to TFLite, in two environments of their own (1 GB more)
#   make board-test    the tests on an emulated Raspberry Pi, in a chroot (root; builds its image once, 5-10 minutes)
#   make board-full    the slow ones, on QEMU's Raspberry Pi 3 Model B with kernel and systemd
#   make fuzz          make up protocol messages until one is misread, for FUZZ_SECONDS
#   make check         lint, format, types, import contract

PYTHON ?= python3
VENV ?= .venv
STUDY ?= runs/default
# Options of `hytnas-profile run`, e.g. make run RUN_ARGS="--latency-n 200"
RUN_ARGS ?=
PYTEST_ARGS ?=
# How many tests run at once where they neither time anything nor need the machine to themselves.
JOBS ?= $(shell nproc)
# How long `make fuzz` reads made-up messages, and where it keeps those that taught it something.
FUZZ_SECONDS ?= 60
FUZZ_CORPUS ?= $(HOME)/.cache/hytnas/fuzz
# Where PyTorch comes from; for a CPU-only build: make run TORCH_ARGS="--index-url https://download.pytorch.org/whl/cpu"
TORCH_ARGS ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Each process begins with its share of the tests in their order, so that it makes the fixtures of a file once.
SIDE_BY_SIDE = --numprocesses $(JOBS) --dist worksteal

# Compiled modules are kept, whatever the caller has set: else each process that is started compiles them anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-system test-tflite board-image board-test board-full check lint types imports format lock lock-litert system-deps clean fuzz

run: $(INSTALLED)
	$(BIN)/hytnas-profile run --study $(STUDY) $(RUN_ARGS)

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not system" --alone never $(SIDE_BY_SIDE) $(PYTEST_ARGS)
	$(BIN)/pytest -m "not system" --alone only $(PYTEST_ARGS)

# One more than there are processors: many of them wait for a time to pass, and none holds a time against a limit.
test-system: JOBS = $(shell expr $$(nproc) + 1)
test-system: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "system and not board and not board_full and not tflite" $(SIDE_BY_SIDE) $(PYTEST_ARGS) tests/system

# Two environments: one that exports to TFLite, one with tflite-runtime, which wants numpy 1.
test-tflite: .venv-litert/.installed .venv-tflite/.installed
	.venv-tflite/bin/python -m pytest $(PYTEST_ARGS) tests/agent/runtimes/test_conformance.py tests/agent/runtimes/test_tflite.py
	HYTNAS_TFLITE_PYTHON=$(CURDIR)/.venv-tflite/bin/python .venv-litert/bin/python -m pytest -m tflite $(PYTEST_ARGS) tests/system/tflite

.venv-litert/.installed: pyproject.toml constraints-litert.txt .ci/cached-venv
	PYTHON=$(PYTHON) ./.ci/cached-venv .venv-litert constraints-litert.txt \
	    -- --constraint constraints-litert.txt $(TORCH_ARGS) torch==2.13.0 \
	    -- --constraint constraints-litert.txt --editable '.[host,litert-export]' pytest pytest-timeout
	@touch $@

.venv-tflite/.installed: pyproject.toml .ci/cached-venv
	PYTHON=$(PYTHON) ./.ci/cached-venv .venv-tflite /dev/null \
	    -- --editable '.[tflite]' pytest pytest-timeout onnx flatbuffers
	@touch $@

board-image: system-deps
	./tests/system/board/build.sh

board-test: $(INSTALLED) board-image
	$(BIN)/pytest -m board $(PYTEST_ARGS) tests/system

board-full: $(INSTALLED) board-image
	$(BIN)/pytest -m board_full $(PYTEST_ARGS) tests/system

check: lint types imports

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or later is needed; name one with: make PYTHON=python3.11 ...")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python cannot make virtual environments here; on Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt $(TORCH_ARGS) torch==2.13.0
	$(PIP) install --quiet --constraint constraints.txt --editable '.[host,dev]'
	@touch $@

lock: $(INSTALLED)
	@{ echo "# Versions that were tested together (Python 3.11, x86-64 Linux): pip install -c constraints.txt ..."; \
	   echo "# Made by: make lock"; \
	   $(PIP) freeze --exclude-editable | sed 's/+cpu//'; } > constraints.txt

lock-litert: .venv-litert/.installed
	@{ echo "# Versions that were tested together with the extra litert-export (Python 3.11, x86-64 Linux)."; \
	   echo "# Apart from constraints.txt: litert-torch brings an xdsl that wants an older typing_extensions."; \
	   echo "# Made by: make lock-litert"; \
	   .venv-litert/bin/python -m pip freeze --exclude-editable | sed 's/+cpu//'; } > constraints-litert.txt

system-deps:
	./.ci/system-deps

fuzz: $(INSTALLED)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[fuzz]'
	mkdir -p $(FUZZ_CORPUS)
	$(BIN)/python tests/fuzz/wire.py $(FUZZ_CORPUS) tests/fuzz/corpus -max_total_time=$(FUZZ_SECONDS) \
	    -max_len=8192 -rss_limit_mb=512 -timeout=10 -print_final_stats=1

clean:
	rm -rf $(VENV) .venv-litert .venv-tflite .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
