# The front door. `make help` lists the targets.

PYTHON ?= python3
ORT_VERSION := 1.31.1
RUNTIME := .runtime
ORT_LIBRARY := $(RUNTIME)/onnxruntime/capi/libonnxruntime.so.$(ORT_VERSION)

.DEFAULT_GOAL := help
.PHONY: help runtime

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

runtime: $(ORT_LIBRARY) ## Install ONNX Runtime into .runtime.

$(ORT_LIBRARY):
	$(PYTHON) -m pip install --quiet --no-deps --upgrade --target $(RUNTIME) onnxruntime==$(ORT_VERSION)
	@test -e $@
