# A thin face over CMake. `make help` lists what there is; CMakePresets.json names the builds.
BUILD    = build
JOBS     = $(shell nproc 2>/dev/null || echo 2)
WERROR   = $(or $(HALFMQ_WERROR),OFF)
PREFIX   = /usr/local
T        = resp
SECONDS  = 60
MINUTES  = 30
ROUNDS   = 50
KILLS    = 20
BLOWS    = 30
BATCH    = 1
SEEDS    = 5000
SEED     = 1
SOURCES  = $(shell find protocol storage broker clients bench tests -name '*.[ch]' 2>/dev/null)
# A folder that is configured already keeps its generator; a new one gets Ninja where that is there.
generator = $(shell [ -f $(1)/CMakeCache.txt ] || ! command -v ninja >/dev/null || echo -G Ninja)
# $(call make,preset,folder): configures and builds. The presets demo, programs and release share one
# folder and only add to it: after `make test`, `make demo` finds everything built.
make     = cmake --preset $(1) $(call generator,$(2)) -DHALFMQ_WERROR=$(WERROR) >/dev/null && \
           cmake --build $(2) -j $(JOBS)
suite    = /usr/bin/python3 bench/suite --bin $(BUILD)/bin $(if $(BENCH_FULL),--full) $(if $(PEERS),--peers-folder $(PEERS))
ctest    = ctest --test-dir $(1) --output-on-failure -j 2

.PHONY: build help deps all test sim client-stress demo install format format-check tidy asan tsan coverage fuzz crash soak \
        faults bench bench-peers bench-regress bench-verify bench-broken client-abi clean

build: deps-build      ## halfmqd, halfmq, libhalfmq, halfmq-bench and the examples, in build/ (the default)
	@$(call make,programs,$(BUILD))

help:                  ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r n t; do \
	    printf '  make %-13s %s\n' "$$n" "$$t"; done

deps: deps-test        ## installs missing Debian packages, or says which; deps-demo, deps-build, deps-tools: a part
deps-%:
	@sh cmake/deps.sh $*

all: deps-test         ## everything, the tests too, without running them
	@$(call make,release,$(BUILD))

test: all              ## every test; a few minutes
	@$(call ctest,$(BUILD))

sim: all               ## transactions in a simulated world, thousands of histories: SEEDS=5000 SEED=1
	@SIM_SEED=$(SEED) SIM_SEEDS=$(SEEDS) $(BUILD)/bin/tests/sim/sim

demo: deps-demo        ## the order service: 20,000 orders, kills, an audit; then a burst and a slow database; needs the least
	@$(call make,demo,$(BUILD)) --target demo_programs
	@sh clients/examples/demo/run.sh $(BUILD)/bin

install: build         ## programs, library, headers, manual pages; PREFIX=/usr/local DESTDIR=
	@cmake --install $(BUILD) --prefix $(PREFIX)

format: deps-tools     ## puts all C files into the house style
	@clang-format -i $(SOURCES)

format-check: deps-tools ## says which files are not in the house style
	@clang-format --dry-run -Werror $(SOURCES)

tidy: deps-tools all   ## clang-tidy over everything, after the house rules
	@/usr/bin/python3 tests/tidy/tidy.py .
	@run-clang-tidy -quiet -p $(BUILD) -j $(JOBS) '/(protocol|storage|broker|clients|bench)/'

asan: deps-test        ## all tests with the address and undefined-behaviour sanitizers
	@$(call make,asan,build-asan)
	@$(call ctest,build-asan)

tsan: deps-test        ## all tests with the thread sanitizer
	@$(call make,tsan,build-tsan)
	@$(call ctest,build-tsan)

coverage: deps-test deps-tools ## which lines and branches of protocol/ and storage/ the tests run; fails below 92 and 80 %
	@$(call make,coverage,build-coverage)
	@find build-coverage -name '*.gcda' -delete
	@$(call ctest,build-coverage) -LE 'crash|packaging|tidy' -E 'integration/bench$$'
	@gcovr -j $(JOBS) -r . --object-directory build-coverage -f protocol/ -f storage/ \
	    --exclude-branches-by-pattern '\s*(static_)?assert\(' --txt build-coverage/lines.txt \
	    --html-details build-coverage/report.html --fail-under-line 92 --fail-under-branch 80 -s \
	    build-coverage/protocol build-coverage/storage

fuzz: deps-test deps-tools ## one fuzz target for a while: T=resp SECONDS=60
	@$(call make,fuzz,build-fuzz) --target fuzz_$(T)
	@mkdir -p build-fuzz/corpus/$(T) tests/fuzz/corpus/$(T)
	@build-fuzz/bin/tests/fuzz/fuzz_$(T) -max_total_time=$(SECONDS) -artifact_prefix=build-fuzz/ \
	    $(patsubst %,-dict=%,$(wildcard tests/fuzz/$(T).dict)) build-fuzz/corpus/$(T) tests/fuzz/corpus/$(T)

crash: all             ## the crash tests, longer: ROUNDS=50
	@HALFMQ_CRASH_ROUNDS=$(ROUNDS) $(call ctest,$(BUILD)) -L crash

soak: all              ## a broker with TLS and users for long, with kills, full disks, backups, changes: MINUTES=30
	@HALFMQD=$(CURDIR)/$(BUILD)/bin/halfmqd BIN=$(CURDIR)/$(BUILD)/bin /usr/bin/python3 tests/crash/soak.py $(MINUTES)

faults: all            ## each allocation and system call of the broker fails, one in each life; some minutes
	@FAULTS=all JOBS=$(JOBS) HALFMQD=$(CURDIR)/$(BUILD)/bin/halfmqd BIN=$(CURDIR)/$(BUILD)/bin /usr/bin/python3 tests/crash/faults.py

client-stress: deps-test ## libhalfmq under thirty kills, cuts, refusals and closes, with both sanitizers: BLOWS=30
	@$(call make,asan,build-asan) --target integration_test_client_stress
	@$(call make,tsan,build-tsan) --target integration_test_client_stress
	@HALFMQ_STRESS_ROUNDS=$(BLOWS) $(call ctest,build-asan) -R integration/client_stress
	@HALFMQ_STRESS_ROUNDS=$(BLOWS) $(call ctest,build-tsan) -R integration/client_stress

bench: all             ## the figures of bench/README.md, beside Redis: ONLY=txn,consume BENCH_FULL=1
	@$(suite) $(if $(ONLY),--only $(ONLY))

bench-peers: all       ## the same with other brokers: PEERS=folder FETCH=1 fetches them
	@$(suite) --peers $(if $(ONLY),--only $(ONLY)) $(if $(FETCH),--fetch)

bench-verify: all      ## verify across SIGKILLs: nothing may be lost, doubled or reordered; KILLS=20 BATCH=1
	@/usr/bin/python3 bench/verify.py --bin $(BUILD)/bin --kills $(KILLS) --batch $(BATCH)

bench-broken: all      ## the same on a broker broken on purpose: verify must tell
	@cmake --build $(BUILD) -j $(JOBS) --target halfmqd-broken
	@/usr/bin/python3 bench/verify.py --bin $(BUILD)/bin --halfmqd $(BUILD)/bin/tests/crash/halfmqd-broken --broken \
	    --kills $(KILLS) --batch $(BATCH)

bench-regress: all     ## instructions per operation against bench/regress.baseline (valgrind); UPDATE=1
	@/usr/bin/python3 bench/regress.py --bin $(BUILD)/bin $(if $(UPDATE),--update)

client-abi: all        ## the binary interface of libhalfmq against clients/c/libhalfmq.abi; UPDATE=1 writes that anew
	@BUILD=$(BUILD) /usr/bin/python3 tests/packaging/abi.py $(if $(UPDATE),--update)

clean:                 ## removes what the builds made
	@rm -rf build build-debug build-asan build-tsan build-fuzz build-coverage
