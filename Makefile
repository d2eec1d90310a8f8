# demo  train on real digits from a built wheel     test  everything CI runs     sanitize  C++ tests under ASan and UBSan
# fuzz  new random programs, from a printed SEED
# dev   incremental build beside python/axon (then PYTHONPATH=python)            clean     remove what was built
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done || echo python3.11)
JOBS ?= $(shell nproc)
BIN := .venv/bin
SOURCES := $(shell find csrc python third_party -type f \( -name '*.cpp' -o -name '*.h' -o -name '*.cuh' -o -name '*.py' \
             -o -name '*.pyi' -o -name '*.cmake' \)) CMakeLists.txt pyproject.toml
LOCKED = flock build/$@.lock
CONFIGURE := $(BIN)/cmake -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python

NUMERICS := tests/runtime/test_features.py tests/cpu tests/layers tests/test_activations.py tests/test_losses.py \
            $(addprefix tests/nx/test_,random.py distributions.py) \
            $(addprefix tests/compiler/test_,table.py programs.py regions.py threads.py fuzz.py)

.PHONY: demo test fuzz dev sanitize clean
demo: build/wheel-demo.stamp
	@$(BIN)/python docs/examples/demo.py $(if $(DATA),--data $(DATA))

test: build/wheel-test.stamp
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/ctest --test-dir build/wheel --output-on-failure
	$(BIN)/python -m pytest -n 2
	@for cap in $$($(BIN)/python -m tests.caps); do echo "numerics again, AXON_MAX_ISA=$$cap"; \
	  AXON_MAX_ISA=$$cap $(BIN)/python -m pytest -n 2 -q $(NUMERICS) || exit 1; done

# New random programs for the compiler and for what transforms programs: make fuzz SEED=7 repeats a run.
fuzz: SEED := $(shell date +%s)
fuzz: build/wheel-test.stamp
	@echo "seed $(SEED)"
	$(BIN)/python -m pytest -q tests/compiler/test_fuzz.py --hypothesis-profile=explore --hypothesis-seed=$(SEED)
	$(BIN)/python -m tests.composed 300 $(SEED)

dev: build/requires.stamp
	$(LOCKED) $(CONFIGURE) -S . -B build/dev -DAXON_TESTS=ON
	$(LOCKED) $(BIN)/cmake --build build/dev -j $(JOBS) -- -k 0; status=$$?; \
	  ln -sfn $(CURDIR)/build/dev/axon/* python/axon/; rm -f python/axon/axon-tests; exit $$status

sanitize: build/requires.stamp
	$(LOCKED) $(CONFIGURE) -S . -B build/sanitize -DAXON_TESTS=ON -DAXON_PYTHON=OFF -DAXON_SANITIZE=ON
	$(LOCKED) $(BIN)/cmake --build build/sanitize -j $(JOBS)
	$(BIN)/ctest --test-dir build/sanitize --output-on-failure

clean:
	rm -rf build

# The build requirements live in .venv (no isolated build), so that a second build compiles only what changed.
build/requires.stamp: pyproject.toml
	@echo "fetching what the build needs into .venv"
	@mkdir -p build
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['build-system']['requires'], \
	  sep='\n')" > build/requires.txt
	@$(BIN)/pip install --quiet -r build/requires.txt
	@touch $@

build/wheel-%.stamp: build/requires.stamp $(SOURCES)
	@echo "building the wheel (one to three minutes the first time) and installing it into .venv"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pip install --quiet --no-build-isolation --config-settings=build-dir=build/wheel \
	  --config-settings=cmake.define.AXON_TESTS=ON ".[$*]"
	@touch $@
