# All set-up is done here: a fresh machine needs Python 3.11 or newer, and make.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
WORKERS ?= 2
# Two processes of one thread each get through more small models than one process of two; what either has compiled is
# kept for the other, and for the commands that tests start; a file stays with one, so that what its tests share is made once.
# Files are begun in the order that tests/conftest.py gives them, the long ones first.
PYTEST = PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test thorough lint ruff types tests other-tests lang laws e2e wheel bench soak gpu gpu-wheels gallery lock sbom clean

$(STAMP): pyproject.toml plugins/pyproject.toml .constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' --editable ./plugins --constraint .constraints.txt
	touch $@

demo: $(STAMP)  ## a drawn cat becomes a dog, with the embedded model
	$(BIN)/retouch run recipes/cat_to_dog_128.retouch recipes/pictures/cat_meadow_128.png -o out/dog.png
	@echo "before: recipes/pictures/cat_meadow_128.png"
	@echo "after:  $(CURDIR)/out/dog.png"

test: ruff tests  ## what has to hold, in less than four minutes on two cores

tests: $(STAMP)
	$(PYTEST) -m 'not bench and not thorough' tests

# Types are checked by one process, for a fourth of the time that tests take: beside them no core waits.
thorough: $(STAMP)  ## the other variants, the longer tests and the types: with `make test`, what a submission has to pass
	+@$(MAKE) --no-print-directory --jobs=2 other-tests types

other-tests: $(STAMP)
	$(PYTEST) -m 'thorough and not bench' tests

lint: ruff types

ruff: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/basedpyright --pythonpath $(BIN)/python

lang: $(STAMP)
	$(PYTEST) tests/lang tests/graph tests/plugins

laws: $(STAMP)
	$(PYTEST) tests/run tests/laws tests/parity tests/pictures tests/models tests/families tests/gan tests/scenes tests/popup

e2e: $(STAMP)
	$(PYTEST) tests/e2e tests/faulty tests/bench

wheel: $(STAMP)
	$(BIN)/python -m pytest -q tests/wheel

bench: $(STAMP)  ## the longer proofs
	$(BIN)/python -m pytest -q -m bench tests
	$(BIN)/retouch bench quality --subset

soak: $(STAMP)  ## the longest: a million texts through the parser, a thousand kills, ten thousand pictures, 50,000 damaged ones
	RETOUCH_SOAK=1000000 $(BIN)/python -m pytest -q tests/lang -k any_text
	RETOUCH_SOAK=1 $(BIN)/python -m pytest -q -s -m bench tests/e2e/test_crashes.py tests/e2e/test_memory_of_many.py
	RETOUCH_SOAK=50000 $(BIN)/python -m pytest -q tests/pictures/test_pictures_fuzz.py
	! $(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python tests/pictures/fuzz_readers.py -runs=200000

GPU_PYTHON ?= $(BIN)/python
GPU_PARTS ?= tests speed families compiled training
GPU_MINUTES ?= 9

# With GPU_PYTHON=python3 nothing is set up: what that Python lacks beside torch comes from `make gpu-wheels`.
gpu: $(if $(filter $(BIN)/python,$(GPU_PYTHON)),$(STAMP))  ## all that only a GPU can show; without one, a rehearsal
	$(GPU_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make gpu GPU_PYTHON=python3.12")'
	$(GPU_PYTHON) tests/gpu/script.py --parts $(GPU_PARTS) --minutes $(GPU_MINUTES)

# What is not Python alone is for Linux, and of each CPython in question where one wheel does not serve them all.
CARRIED = $(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest .gpu \
	--constraint .constraints.txt
gpu-wheels: $(STAMP)  ## what `make gpu` needs beside torch, for a machine that reaches no registry
	rm -rf .gpu
	$(CARRIED) --implementation py --abi none --platform any \
		diffusers transformers huggingface_hub lark pluggy pytest iniconfig packaging pygments tqdm filelock fsspec \
		importlib_metadata zipp requests charset_normalizer idna urllib3 certifi httpx2 httpcore2 h11 anyio click
	$(CARRIED) --implementation cp --abi abi3 --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
		--platform manylinux2014_x86_64 tokenizers safetensors
	for python in 3.11 3.12 3.13; do $(CARRIED) --implementation cp --python-version $$python \
		--platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 pyyaml regex; done

gallery: $(STAMP)  ## the pictures of recipes/README.md, made anew
	$(BIN)/python recipes/gallery/remake.py
	$(BIN)/python recipes/gallery/kinds.py
	$(BIN)/python recipes/gallery/attributes.py
	$(BIN)/python recipes/gallery/turntables.py

lock: $(STAMP)  ## the versions and digests of what an edit needs, from what is installed
	$(BIN)/python plugins/tools/lock.py requirements.lock

sbom: $(STAMP)  ## what is installed and shipped, with licences, as CycloneDX
	$(BIN)/python plugins/tools/sbom.py sbom.json

clean:
	rm -rf .venv build dist out .pytest_cache .ruff_cache .hypothesis
