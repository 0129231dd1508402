# Trimtab. `make` lists the targets; `make demo` and `make test` need nothing else first.
SHELL := /bin/bash
OUT   ?= demo-out
LK    := deploy/localkube

# The product and the local cluster are built with the same flags, so that the Kubernetes packages
# that both use are compiled once.
BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false

.PHONY: help demo demo-down test check e2e bench golden onnxruntime tools

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: tools ## the whole job on this machine: a cluster, model servers, load, Trimtab. LEVEL=1|2|3, CLUSTER=context
	@bin/demo --out $(OUT) $(if $(LEVEL),--level $(LEVEL)) $(if $(CLUSTER),--cluster $(CLUSTER)) up

demo-down: tools ## stops the demo and removes all that it started
	@bin/demo --out $(OUT) down

test: check e2e ## everything that continuous integration runs

check: ## format, vet, staticcheck, race tests, layers, go.mod
	@deploy/check.sh

e2e: tools ## the end-to-end test on the highest level that this machine carries
	@deploy/e2e.sh

bench: tools ## one family of measurements, BENCH=name, some with TRACES=folder; appends JSON lines to bench.jsonl
	@go run ./deploy/bench $(BENCH) $(if $(TRACES),--traces "$(TRACES)")

golden: ## rewrites the golden files and the rendered manifests; read the diff
	go test ./reports/... ./policies ./optimizer/simulator ./recommender/capacity -update
	cd deploy/helm && CGO_ENABLED=0 go test -count=1 -trimpath -buildvcs=false . -update

onnxruntime: ## fetches ONNX Runtime's library (86 MB, once, checksum checked) and builds bin/modelserver-onnx
	@deploy/onnxruntime/fetch.sh >/dev/null
	@mkdir -p bin && $(BUILD) -ldflags "-s -w" -tags onnx -o bin/modelserver-onnx ./cmd/modelserver
	@echo "bin/modelserver-onnx is built; it finds the library in the cache"

# Small programs of the standard library (and yaml): seconds to compile.
tools:
	@mkdir -p bin
	@$(BUILD) -o bin/simulate ./cmd/simulate
	@cd $(LK) && $(BUILD) -o $(CURDIR)/bin/ . ./demo ./mailsink ./dcgm
