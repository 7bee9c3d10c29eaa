# Gnomon's commands. `make help` lists them; README.md has the two that matter first.

# One set of build settings, so that everything shares one build cache. The race detector
# alone needs cgo, and with it a C compiler.
export CGO_ENABLED = 0
export GOFLAGS := -trimpath -buildvcs=false

VERSION  := $(or $(patsubst v%,%,$(shell git describe --tags --match 'v*' --dirty 2>/dev/null)),0.0.0-$(shell git describe --always --dirty 2>/dev/null))
REVISION := $(or $(shell git rev-parse HEAD 2>/dev/null),unknown)
BRANCH   := $(or $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null),unknown)
STAMP    := github.com/prometheus/common/version
LDFLAGS  := -X $(STAMP).Version=$(VERSION) -X $(STAMP).Revision=$(REVISION) -X $(STAMP).Branch=$(BRANCH)

# Every folder with a go.mod; e2e/ needs the binaries and is tested by a target of its own.
MODULES := $(sort $(dir $(shell find . -name go.mod -not -path '*/.*/*' -not -path '*/testdata/*')))
UNIT    := $(filter-out ./e2e/%,$(MODULES))

# $(call each,modules,command) runs a shell command in the folders of modules.
each = @set -e; for m in $(1); do echo "$$m: $(2)"; (cd $$m && $(2)); done

FUZZTIME ?= 20s
SOAKTIME ?= 1h
SOAKSEEDS ?= 3000
# Stores of the differential test of queries, of 100 queries each.
QUERYSEEDS ?= 1000
ARGS     ?=
IMAGE    ?= gnomon:dev

.PHONY: help build run test lint unit e2e race fuzz bench peers soak farm image clean bin/kubeapi

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' Makefile

build: ## bin/gnomon, one static binary
	@echo "Building bin/gnomon $(VERSION). The Go modules it needs are installed into $$(go env GOMODCACHE)."
	go build -ldflags '-s -w $(LDFLAGS)' -o bin/gnomon ./cmd/gnomon

run: build ## build and start: watches itself and this machine, data in ./data (ARGS='--flag=value')
	bin/gnomon $(ARGS)

test: lint unit e2e ## all tests of all modules, with real servers

# vet's stdmethods takes the Seek of upstream's sample iterators for io.Seeker's.
lint: ## gofmt, go vet and staticcheck (staticcheck.conf) on all modules
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted by gofmt:" $$unformatted; exit 1; }
	$(call each,$(MODULES),go vet -stdmethods=false ./...)
	@staticcheck=$$(go tool -n staticcheck); set -e; \
	for m in $(MODULES); do echo "$$m: staticcheck ./..."; (cd $$m && $$staticcheck ./...); done

unit: ## the tests of all modules but e2e, the seeds of the fuzz targets included
	$(call each,$(UNIT),go test ./...)

bin/kubeapi:
	@echo "Building Kubernetes's API server $$(cd e2e/kubeapi && go list -m -f '{{.Version}}' k8s.io/kubernetes) for the tests into bin/kubeapi." \
	"The first time takes minutes and 3 GB of $$(go env GOCACHE)."
	e2e/kubeapi/build.sh bin/kubeapi

e2e: build bin/kubeapi ## the binary beside a real etcd, Kubernetes API server, Alertmanager and node exporter, built from their Go modules
	@set -e; for m in e2e e2e/kubetools; do (cd $$m; go list -f '{{.ImportPath}} {{.Module.Version}}' tool | while read -r package version; do \
	echo "Building $$package $$version for the tests into $$(go env GOCACHE)."; go tool -n $$package >/dev/null; done); done
	cd e2e && GNOMON_BINARY=$(CURDIR)/bin/gnomon KUBEAPI_BINARY=$(CURDIR)/bin/kubeapi go test -count=1 -timeout=20m ./...

race: ## the tests of all modules but e2e under the race detector; needs a C compiler
	$(call each,$(UNIT),CGO_ENABLED=1 go test -race ./...)

fuzz: ## every fuzz target for FUZZTIME (20s)
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sed 's|/[^/]*:func | |' | while read -r dir target; do \
	echo "$$dir: $$target for $(FUZZTIME)"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$dir || exit 1; done

bench: ## every benchmark once
	$(call each,$(UNIT),go test -run '^$$' -bench . -benchmem ./...)

peers: ## the storage engine beside Prometheus's and VictoriaMetrics's (ARGS='-data DIR', documentation/benchmarks.md)
	cd bench && go run . $(ARGS)

soak: build ## random lives of the database, random queries beside Prometheus, every failure of the disk, and kills of the server under load for SOAKTIME (1h)
	go test -count=1 -timeout=0 -run '^(TestAgreesWithModel|TestFailingOperation|TestCrash)$$' ./tsdb -args -seeds=$(SOAKSEEDS) -sweep-step=1
	go test -count=1 -timeout=0 -run '^TestDifferential$$' ./promql -args -seeds=$(QUERYSEEDS) -queries=100
	cd e2e && GNOMON_BINARY=$(CURDIR)/bin/gnomon go test -count=1 -timeout=0 -run '^TestCrash$$' -v . -args -soak=$(SOAKTIME)

farm: ## 10,000 targets on the loopback, scraped every 15 seconds (longer: ARGS='-farm-rounds=20')
	go test -count=1 -timeout=0 -run '^TestFarm$$' -v ./scrape -args -farm-targets=10000 -farm-interval=15s -farm-jitter=50ms $(ARGS)

image: build ## a container image of bin/gnomon, gnomon:dev (IMAGE=name:tag); needs Docker and a Linux machine
	docker build --tag=$(IMAGE) --file=deploy/container/Dockerfile bin

clean: ## remove what build made; data stays
	rm -rf bin
