# Shortcuts; Meson does the work. `make help` lists them.
#
#   BUILD=dir  where to build (build)         JOBS=n  compilers at a time (one a processor)
#   CC=clang   the compiler, at the first build of a folder
#   MESON=...  more options for `meson setup`, at the first build of a folder; see meson.build

BUILD ?= build
ASAN ?= $(BUILD)-asan
TSAN ?= $(BUILD)-tsan
FUZZ ?= $(BUILD)-fuzz
COVERAGE ?= $(BUILD)-coverage
MESON ?=
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
DEMO ?=
BENCH ?=
MODEL ?=
SECONDS ?= 60
RUNS ?= 0
SWITCHES ?= 25
SEED ?=

MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := all
.PHONY: sim-mutants all demo check embedded test asan sanitize fuzz static coverage sim model system chaos integrations bench install format format-check clean help spring setup setup-test setup-fuzz setup-model setup-static kafka tools-kube

all: $(BUILD)/build.ninja ## build everything into build/ (installs what is missing, builds librdkafka once)
	@JOBS=$(JOBS) scripts/librdkafka.sh >/dev/null
	@scripts/ninja.sh $(BUILD) $(JOBS)

# libdir: Meson guesses it by a tool that a bare Debian lacks, and then puts libraries where nothing looks for them.
# A build folder that was once set up keeps what it found: Meson looks again only when its own files change.
define setup_folder
@scripts/setup.sh build
@found=$$(JOBS=$(JOBS) scripts/librdkafka.sh) && \
    PKG_CONFIG_PATH="$$found:$$PKG_CONFIG_PATH" meson setup --prefix=$(PREFIX) --libdir=lib $(@D) $(MESON)
endef

$(BUILD)/build.ninja:
	$(setup_folder)

# b_lundef: clang leaves the sanitizers' own symbols open in a shared library. werror: gcc warns of things that it made up
# itself when it instruments.
$(ASAN)/build.ninja: MESON += -Db_sanitize=address,undefined -Db_lundef=false -Dwerror=false
$(ASAN)/build.ninja:
	$(setup_folder)

$(TSAN)/build.ninja: MESON += -Db_sanitize=thread -Db_lundef=false -Dwerror=false
$(TSAN)/build.ninja:
	$(setup_folder)

$(COVERAGE)/build.ninja: MESON += -Db_coverage=true -Dbuildtype=debug -Dwerror=false
$(COVERAGE)/build.ninja:
	$(setup_folder)

# libFuzzer is clang's.
$(FUZZ)/build.ninja: export CC = clang
$(FUZZ)/build.ninja: MESON += -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false -Dwerror=false
$(FUZZ)/build.ninja: | setup-fuzz
	$(setup_folder)

demo: $(BUILD)/build.ninja ## switch and roll back a small fleet before your eyes, under a minute, nothing left behind; DEMO='--bootstrap HOST:PORT'
	@JOBS=$(JOBS) scripts/librdkafka.sh >/dev/null
	@scripts/ninja.sh $(BUILD) $(JOBS) baton
	@$(BUILD)/baton demo $(DEMO)

check: all ## seconds: unit tests, layers, a short simulation; no services
	@scripts/test.py --build $(BUILD) unit sim

embedded: all ## half a minute: library, controller and Kafka adapter on the embedded broker
	@scripts/test.py --build $(BUILD) embedded

test: all setup-test setup-fuzz setup-model kafka spring ## everything: check, embedded, sanitizers, fuzzing, long simulation, model, system tests and chaos on a real Apache Kafka
	@scripts/test.py --build $(BUILD) --asan $(ASAN) --tsan $(TSAN) --fuzz $(FUZZ) unit sim embedded asan tsan fuzz long model spring system chaos

asan: $(ASAN)/build.ninja ## check and embedded under AddressSanitizer and UBSan, in build-asan/
	@scripts/test.py --build $(BUILD) --asan $(ASAN) asan

sanitize: $(ASAN)/build.ninja $(TSAN)/build.ninja ## asan, and all that has threads under ThreadSanitizer, in build-tsan/
	@scripts/test.py --build $(BUILD) --asan $(ASAN) --tsan $(TSAN) asan tsan

fuzz: $(FUZZ)/build.ninja ## a minute of libFuzzer over every parser (clang); SECONDS=600, RUNS=1e8 for more
	@scripts/ninja.sh $(FUZZ) $(JOBS) fuzz
	@tests/fuzz/run.py --build $(FUZZ) --seconds $(SECONDS) --runs $(RUNS) --jobs $(JOBS)

static: all setup-static ## what gcc's analyzer and clang-tidy find in src/ (.clang-tidy); some minutes
	@scripts/static.py --build $(BUILD) --jobs $(JOBS)

coverage: $(COVERAGE)/build.ninja ## lines and branches of the core that unit tests and a minute of simulation run; each left is named
	@scripts/ninja.sh $(COVERAGE) $(JOBS)
	@find $(COVERAGE) -name '*.gcda' -delete
	@meson test -C $(COVERAGE) --no-rebuild --suite unit --suite sim >/dev/null
	@$(COVERAGE)/tests/sim/baton-sim --seconds 60 --fresh >/dev/null
	@scripts/coverage.py --build $(COVERAGE) --list

sim: all ## two minutes of simulated worlds with seeds that nobody has seen; WORLDS=1000000 for so many
	@ln -sf tests/sim/baton-sim $(BUILD)/baton-sim
	@$(BUILD)/baton-sim --seeds tests/sim/seeds --fresh $(if $(WORLDS),--worlds $(WORLDS),--seconds 120)

sim-mutants: ## a hundred bugs put into the core, one at a time: the simulation has to find each
	@python3 tests/sim/mutants.py

model: setup-model ## a minute: every state of the model of the protocol, and mistakes that it must find; MODEL=--full: half an hour, 8 GB
	@python3 model/run.py $(MODEL)

system: all setup-test kafka spring ## the system tests alone
	@scripts/test.py --build $(BUILD) system

chaos: all setup-test kafka ## six minutes: 25 switches on three brokers while everything breaks, audited; SWITCHES=500, SEED=n
	@python3 tests/chaos/chaos.py --build $(BUILD) --switches $(SWITCHES) $(if $(SEED),--seed $(SEED))

integrations: setup-test kafka ## the Spring starter: its tests on Boot 3.5 and 4, and two applications of each switched on a real Kafka
	@integrations/spring/verify.py

bench: all setup-test kafka ## all figures, as ratios, on a real Kafka; also in build/bench.json; BENCH=--quick only sees that it runs
	@python3 bench/run.py --build $(BUILD) $(BENCH)

tools-kube: ## kube-apiserver and etcd for the tests of the ConfigMap channel: ten minutes and 4 GB of Go caches, once
	@scripts/tools-kube.sh

# Under sudo nothing is built: root has another cache, and should own no file here.
install: ## program, library, header, manual, completion under PREFIX=/usr/local (DESTDIR is heeded); run make first
	@test -f $(BUILD)/build.ninja || { echo 'nothing is built yet: run make first, as yourself' >&2; exit 1; }
	@meson introspect $(BUILD) --buildoptions | grep -q '"name": "prefix", "value": "$(PREFIX)"' || \
	    { meson configure $(BUILD) --prefix=$(PREFIX) && ninja -C $(BUILD) -j $(JOBS); } >/dev/null
	@meson install -C $(BUILD) --no-rebuild
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" -ne 0 ] || ldconfig # so that programs find libbaton.so
	@[ -z "$$SUDO_UID" ] || chown "$$SUDO_UID:$$SUDO_GID" $(BUILD)/meson-logs/install-log.txt

format: ## let clang-format settle the layout
	@clang-format -i $$(git ls-files '*.[ch]')

format-check: ## only say what `make format` would change
	@clang-format --dry-run --Werror $$(git ls-files '*.[ch]')

clean: ## remove what was built here; the cache with librdkafka and Kafka stays (scripts/librdkafka.sh says where)
	@rm -rf $(BUILD) $(ASAN) $(TSAN) $(FUZZ) $(COVERAGE)

setup-model:
	@scripts/setup.sh model

setup-test:
	@scripts/setup.sh test
	@scripts/redis.sh >/dev/null
	@for language in python node go; do scripts/peers.sh $$language >/dev/null || true; done # what could not be brought is said by its tests

setup-static:
	@scripts/setup.sh static

setup-fuzz:
	@scripts/setup.sh fuzz

kafka: setup-test
	@scripts/kafka.sh >/dev/null

spring: setup-test # what the system tests switch
	@scripts/spring.sh $(BUILD) >/dev/null || : # its tests say it again

help: ## this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1	\2/p' $(MAKEFILE_LIST) | expand -t 16
