# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
OUT    ?= demo_out

.PHONY: demo test lint types bench clean

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("hwsim needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@ $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/hwsim sweep sweeps/llama2_7b_formats.yaml --jobs 2 --output $(OUT)/llama2_7b_formats
	$(BIN)/hwsim compare-formats systolic_32x32_28nm llama-2-7b --phase decode \
	  --formats fp16,bf16,fp8_e4m3,int8,int4_g128,mxfp4,nvfp4,lmul_e4m3,bitmod3_g128,bitmod4_g128 \
	  --output $(OUT)/compare_formats
	@echo
	@echo "Pictures and reports:"
	@find $(OUT) -name '*.png' -o -name '*.svg' -o -name '*.html' | sort | sed 's/^/  /'

test: $(VENV)/.installed-test lint types
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	$(BIN)/mypy

bench: $(VENV)/.installed-test
	$(BIN)/python benchmarks/sweep_speed.py
	$(BIN)/python benchmarks/formats.py

clean:
	rm -rf $(VENV) $(OUT) build dist .pytest_cache .mypy_cache .ruff_cache
