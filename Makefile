# Recipes are POSIX sh. run and test need Go and nothing else; only spec, sdk, web and vendor need Node.

# How long `make fuzz` looks for a request that the server answers wrongly.
FUZZTIME = 1m
# How often `make soak` breaks each thing that it breaks.
SOAK_ROUNDS ?= 50
# How long `make soak` then looks for what leaks, on each database.
SOAK_TIME ?= 1m
# How much `make bench` measures, and where it keeps databases for the next time: on a disk, where PostgreSQL's own user gets
# to it.
SIZE ?= medium
BENCH_DATA ?= /var/tmp/harmont-billing-bench-$(shell id -u)
# The contract that is held against the accepted one.
CONTRACT = openapi.yaml

# What the pages take from others: the file in its package, and where it lies in web/.
VENDORED = \
	uplot/dist/uPlot.iife.min.js:assets/vendor/uplot/uPlot.iife.min.js \
	uplot/dist/uPlot.min.css:assets/vendor/uplot/uPlot.min.css \
	uplot/LICENSE:assets/vendor/uplot/LICENSE.txt \
	swagger-ui-dist/swagger-ui-bundle.js:assets/vendor/swagger-ui/swagger-ui-bundle.js \
	swagger-ui-dist/swagger-ui.css:assets/vendor/swagger-ui/swagger-ui.css \
	swagger-ui-dist/LICENSE:assets/vendor/swagger-ui/LICENSE.txt \
	swagger-ui-dist/NOTICE:assets/vendor/swagger-ui/NOTICE.txt \
	swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt:assets/vendor/swagger-ui/swagger-ui-bundle.js.LICENSE.txt \
	axe-core/axe.min.js:testdata/axe.min.js \
	axe-core/LICENSE:testdata/axe.LICENSE.txt

.DEFAULT_GOAL := help

# check generates code and then looks at it; its parts must not overtake one another.
.NOTPARALLEL:

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## "; print "Usage: make TARGET\n" } /^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: build ## Serve a demo with 90 days of usage, on a fresh database
	bin/harmont-billing demo

.PHONY: build
build: ## Build bin/harmont-billing, which needs no C library
	CGO_ENABLED=0 go build -trimpath -o bin/harmont-billing ./cmd/harmont-billing

# The race detector needs cgo, and so a C compiler; building its runtime tells whether this machine has what it takes.
# Without it the tests run all the same, and say what they leave out.
RACE = $(shell CGO_ENABLED=1 go build -race '$(NO_POINTER_CHECKS)' runtime/race runtime/cgo 2>/dev/null && echo -race)
# Half of the time of the tests would go into race checks of SQLite, which is C translated to Go and not this project's
# code, so make test compiles that one package without them. No other package may be added: modernc.org/sqlite, for one,
# contains a copy of the standard library's sync.Map, and the linker may choose an unchecked copy for the whole program,
# which then reports races that do not exist. make test-long checks SQLite as well.
UNCHECKED = $(if $(RACE),'$(NO_POINTER_CHECKS)' '-gcflags=modernc.org/sqlite/lib=-race=false -d=checkptr=0')
# The race detector brings checks of pointer arithmetic. They take a sixth of the time of the tests, and concern libraries
# alone, since this project's code has no unsafe pointers. make test-long has these checks.
NO_POINTER_CHECKS = -gcflags=all=-d=checkptr=0
# A result from the cache tells nothing, hence -count. make check runs vet. Tests of several packages run at once, since
# many of them wait for a server or a disk; the packages that take longest begin first.
TEST_FLAGS = -count=1 -vet=off -ldflags=-s -p 5 -parallel 4
LONGEST = ./internal/store ./server ./web ./internal/store/postgres ./conformance ./internal/clienttest ./client ./cmd/harmont-billing ./internal/crashtest
# The packages of both modules of the workspace.
PACKAGES = ./... ./client/...
# The tests that have a long form, which TEST_LONG asks for.
LONG_FORMS = RandomCorruptions|Mutations|RemovedProperties|BoundsOfAnswers|Model|Killed|Full|Limit|Leaks|TwoServers|Unreachable|FaultyProxy|VerifyWhile|WhileWriters|Pictures|Concurrency|BodyLimits|ManyBuilds|CopyAnswersAlike|Replicas|Reference|Install|TracedProgram|^(TestSQLite|TestPostgreSQL)$$/Groups
LONG_PACKAGES = ./internal/contractgen ./internal/release ./internal/crashtest ./internal/store ./internal/store/postgres ./internal/audit ./internal/clienttest ./server ./web

# A high GOGC spends memory to save the processor time of garbage collection.
.PHONY: test
test: build bin/testprogress ## Run every test, with the race detector where there is a C compiler
	@$(if $(RACE),,echo 'No C compiler that works, so this is WITHOUT the race detector.';) \
	GOGC=400 $(if $(RACE),CGO_ENABLED=1) TEST_BINARY='$(CURDIR)/bin/harmont-billing' \
		bin/testprogress $(RACE) $(UNCHECKED) $(TEST_FLAGS) -timeout 20m $(LONGEST) $(PACKAGES)

.PHONY: test-long
test-long: build bin/testprogress ## Run the long forms of tests: many kills, 10 000 steps of the model, fuzzing, leaks
	@$(if $(RACE),CGO_ENABLED=1) TEST_BINARY='$(CURDIR)/bin/harmont-billing' TEST_LONG=1 \
		bin/testprogress $(RACE) $(TEST_FLAGS) -timeout 40m -run '$(LONG_FORMS)' $(LONG_PACKAGES)
	$(MAKE) fuzz

.PHONY: bin/testprogress
bin/testprogress:
	@go build -o bin/testprogress ./internal/testprogress

.PHONY: fuzz
fuzz: ## Send made-up requests to the server for FUZZTIME (1m)
	go test ./server -run '^$$' -fuzz '^FuzzHandler$$' -fuzztime $(FUZZTIME)

# What is small or only a part is shown, and not written to docs/benchmarks.md.
.PHONY: bench
bench: build ## Measure against yardsticks, SIZE=small, medium or full, ONLY=balance,writes …
	go build -o bin/bench ./internal/bench
	bin/bench -size '$(SIZE)' -only '$(ONLY)' -data '$(BENCH_DATA)' $(if $(filter-out small,$(SIZE)),$(if $(ONLY),,-report docs/benchmarks.md))

# One may want it to run all night, so it takes the time that it needs; every wait in it has an end.
.PHONY: soak
soak: ## Kill servers and databases under load, SOAK_ROUNDS (50) times each, then look for leaks for SOAK_TIME (1m)
	TEST_LONG=1 SOAK_ROUNDS=$(SOAK_ROUNDS) SOAK_TIME=$(SOAK_TIME) go test ./internal/crashtest -count=1 -v -timeout 0 -run 'Killed|Full|Leaks'

.PHONY: check
check: check-generate check-format check-modules vet lint check-contract check-api check-imports ## Check all but the tests
	@echo 'make check: all of it holds.'

.PHONY: generate
generate: ## Make all that openapi.yaml generates, and docs/cli.md from the commands
	go generate ./...

# By checksum and not by git, so that it also tells in the middle of other work.
GENERATED = $$(find . -name node_modules -prune -o -name '*.gen*.go' -print) docs/api.md docs/cli.md
.PHONY: check-generate
check-generate:
	@sums() { cksum $(GENERATED) | LC_ALL=C sort; }; \
	before=$$(sums); \
	echo 'go generate ./...'; \
	go generate ./... || exit 1; \
	if [ "$$before" != "$$(sums)" ]; then \
		echo 'The generated files were not what openapi.yaml and the commands generate. They are now: look at the difference and commit it.' >&2; \
		exit 1; \
	fi

.PHONY: check-format
check-format:
	@unformatted=$$(find . -name node_modules -prune -o -name '*.go' -exec gofmt -l {} +) || exit 1; \
	if [ -n "$$unformatted" ]; then \
		printf 'Not formatted; run make format:\n%s\n' "$$unformatted" >&2; \
		exit 1; \
	fi

.PHONY: tidy
tidy: ## Run go mod tidy for each module
	GOWORK=off go -C client mod tidy
	tools/tidy.sh
	GOWORK=off go -C tools mod tidy
	GOWORK=off go -C testdata/consumer mod tidy

.PHONY: check-modules
check-modules:
	GOWORK=off go -C client mod tidy -diff
	tools/tidy.sh -diff
	GOWORK=off go -C tools mod tidy -diff
	GOWORK=off go -C testdata/consumer mod tidy -diff

.PHONY: vet
vet:
	go vet $(PACKAGES)

.PHONY: lint
lint: bin/golangci-lint ## Run the linters of .golangci.yml
	bin/golangci-lint run $(PACKAGES)

.PHONY: format
format: bin/golangci-lint ## Format the code
	bin/golangci-lint fmt

.PHONY: check-imports
check-imports:
	go test -count=1 -run '^TestImportArrows$$' .

# Callers compile against names, so tools/oasdiff-levels.txt makes errors of removals that oasdiff only takes note of.
.PHONY: check-contract
check-contract: bin/oasdiff
	@echo 'oasdiff breaking openapi.accepted.yaml $(CONTRACT)'; \
	bin/oasdiff breaking --fail-on WARN --severity-levels tools/oasdiff-levels.txt openapi.accepted.yaml $(CONTRACT) || { \
		echo '$(CONTRACT) breaks those who call the API. If that is meant, run make accept-contract and commit both files together.' >&2; \
		exit 1; \
	}

.PHONY: accept-contract
accept-contract: ## Make openapi.yaml the contract that later changes may not break
	cp openapi.yaml openapi.accepted.yaml

# The folders of the Go packages that programs outside of this project import.
API_PACKAGES = client server server/metrics httpapi conformance billingtest

.PHONY: check-api
check-api: bin/apidiff
	tools/check-api.sh $(API_PACKAGES)

.PHONY: spec
spec: tools/node_modules ## Lint openapi.yaml (needs Node)
	npm --prefix tools run lint

.PHONY: sdk
sdk: tools/node_modules ## Generate a TypeScript SDK from openapi.yaml and type-check it (needs Node)
	npm --prefix tools run sdk

.PHONY: web
web: tools/node_modules ## Check the pages' types and libraries (needs Node)
	npm --prefix tools run web
	@for file in $(VENDORED); do \
		cmp "tools/node_modules/$${file%%:*}" "web/$${file#*:}" || { echo 'Not what tools/package.json names; run make vendor.' >&2; exit 1; }; \
	done

.PHONY: vendor
vendor: tools/node_modules ## Copy the pages' libraries from the packages that tools/package.json names (needs Node)
	@for file in $(VENDORED); do cp -v "tools/node_modules/$${file%%:*}" "web/$${file#*:}"; done

.PHONY: pictures
pictures: ## Take the pictures of the README anew, and keep what each page showed in web/screenshots (needs Chromium)
	TEST_BROWSER_REQUIRED=1 go test -count=1 ./web -pictures

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin tools/node_modules tools/sdk tools/build web/screenshots

# The tools are built once, at the versions that tools/go.mod names; go tool would link them anew for each run.
bin/golangci-lint: tools/go.mod tools/go.sum
	@echo 'Building golangci-lint, which takes a few minutes the first time.'
	GOWORK=off go -C tools build -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bin/oasdiff: tools/go.mod tools/go.sum
	GOWORK=off go -C tools build -o ../bin/oasdiff github.com/oasdiff/oasdiff

bin/apidiff: tools/go.mod tools/go.sum
	go -C tools build -o ../bin/apidiff golang.org/x/exp/cmd/apidiff

tools/node_modules: tools/package.json tools/package-lock.json
	npm --prefix tools ci
	@touch tools/node_modules
