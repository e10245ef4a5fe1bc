# Sickbay. 'make' alone lists the verbs.
#
#   V=1      show the commands             DEBUG=1  build without optimisation, in build/debug
#   SAN=1    ASan and UBSan, without tcmalloc, in build/san
#   SAN=thread   ThreadSanitizer, likewise, in build/tsan; for the tests that can stand it
#   HOST=1   unit, lint, format, check and bench on this machine instead of in the dev image
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
COMMA := ,
SHELL := /bin/bash

# ---- where and how to build -------------------------------------------------------------------
BUILD := build
OPTIMISE := -O2
ifdef DEBUG
BUILD := build/debug
OPTIMISE := -O0
endif
ifdef SAN
BUILD := build/$(if $(filter thread,$(SAN)),tsan,san)
SANITIZERS := $(if $(filter thread,$(SAN)),thread,address$(COMMA)undefined)
OPTIMISE := -O1
endif

CC := gcc
PROTOC_C := protoc-c
PACKAGES := libh2o-evloop openssl libprotobuf-c zlib libdw libcurl

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
# Frame pointers and real calls keep every stack complete, in any tool.
# -fexceptions: a cancelled thread runs the cleanups of the frames it leaves.
CFLAGS := -std=gnu17 $(OPTIMISE) -g -fno-omit-frame-pointer -fno-optimize-sibling-calls \
	-fno-partial-inlining -fexceptions -pthread
CPPFLAGS := -D_GNU_SOURCE -DH2O_USE_LIBUV=0 -Iservices -I$(BUILD) -I$(BUILD)/proto
# A cancelled thread is unwound by libgcc, so cleanups must resume in libgcc too: libunwind, which
# gperftools brings along, exports the same names, and must not be linked before it.
# -rdynamic: what we interpose must be seen by the shared libraries too.
LDFLAGS := -rdynamic -pthread
LDLIBS := -lh2o-evloop -lssl -lcrypto -lprotobuf-c -lz -ldw -lelf -lcurl -lm
ifdef SAN
CFLAGS += -fsanitize=$(SANITIZERS) -fno-sanitize-recover=undefined
CPPFLAGS += -DSICKBAY_SAN=1
LDFLAGS += -fsanitize=$(SANITIZERS)
LDLIBS += -Wl,--no-as-needed -lprofiler -Wl,--as-needed
else
LDLIBS += -Wl,--no-as-needed -ltcmalloc_and_profiler -Wl,--as-needed
endif

# ---- what to build ----------------------------------------------------------------------------
LIBRARIES := common http client probe diag trace debug
LIBRARY_SOURCES := $(foreach d,$(LIBRARIES),$(wildcard services/$d/*.c))
PROTOS := $(wildcard services/proto/*.proto)
PROTO_SOURCES := $(PROTOS:services/proto/%.proto=$(BUILD)/proto/%.pb-c.c)
PROTO_HEADERS := $(PROTO_SOURCES:.c=.h)
# The recorder stands alone: nothing of the patient's is in it.
RECORDER_SOURCES := $(wildcard services/recorder/*.c)
RECORDER_COMMON := $(addprefix services/common/,alloc.c hash_index.c parse.c)
RECORDER_PROTO := $(BUILD)/proto/perfetto_kernel.pb-c.o
APP_SOURCES := $(wildcard services/app/*.c services/app/faults/*.c)
DESK_SOURCES := $(wildcard services/desk/*.c)
UPSTREAM_SOURCES := $(wildcard services/upstream/*.c)
LEAKS := file-leak file-fixed http-leak http-fixed
LEAKS_SOURCES := $(wildcard services/leaks/*.c services/leaks/*/*.c)
# file-leak: what all share, what is in file/ for its pair, and of that pair's two sides file/leak.c.
leak_sources = $(wildcard services/leaks/*.c) services/leaks/$(subst -,/,$1).c \
	$(filter-out %/leak.c %/fixed.c,$(wildcard services/leaks/$(firstword $(subst -, ,$1))/*.c))
TEST_SOURCES := $(shell find tests/unit -name 'test_*.c' 2>/dev/null | sort)
ifeq ($(SAN),thread)
# It keeps signals back from a thread until that waits in a call it knows: most tests of dumps and
# all of profiles would wait in vain.
TEST_SOURCES := $(patsubst %,tests/unit/probe/test_%.c,depot dump_load fd_entries thread) \
	tests/unit/trace/test_ring.c $(wildcard tests/unit/client/test_*.c)
endif
# What tests share: any other .c file under tests/unit.
TEST_SHARED := $(shell find tests/unit -name '*.c' ! -name 'test_*.c' 2>/dev/null | sort)

object = $(1:%.c=$(BUILD)/obj/%.o)
PROTO_OBJECTS := $(filter-out $(RECORDER_PROTO),$(PROTO_SOURCES:.c=.o))
LIBRARY_OBJECTS := $(call object,$(LIBRARY_SOURCES)) $(PROTO_OBJECTS)
RECORDER_OBJECTS := $(call object,$(RECORDER_SOURCES)) $(RECORDER_PROTO)
APP_OBJECTS := $(call object,$(APP_SOURCES))
DESK_OBJECTS := $(call object,$(DESK_SOURCES))
UPSTREAM_OBJECTS := $(call object,$(UPSTREAM_SOURCES))
LEAKS_OBJECTS := $(call object,$(LEAKS_SOURCES))
LEAKS_PROGRAMS := $(LEAKS:%=$(BUILD)/leaks/%)
# Of each pair one side: both have the same names.
TESTED_OBJECTS := $(LIBRARY_OBJECTS) $(filter-out %/main.o %/leak.o,$(APP_OBJECTS) $(DESK_OBJECTS) \
	$(UPSTREAM_OBJECTS) $(RECORDER_OBJECTS) $(LEAKS_OBJECTS))
TEST_PROGRAMS := $(TEST_SOURCES:tests/unit/%.c=$(BUILD)/tests/unit/%)
BENCH_SOURCES := $(wildcard tests/bench/*.c)
BENCH_PROGRAMS := $(BENCH_SOURCES:tests/bench/%.c=$(BUILD)/bench/%)
OBJECTS := $(LIBRARY_OBJECTS) $(APP_OBJECTS) $(DESK_OBJECTS) $(UPSTREAM_OBJECTS) $(RECORDER_OBJECTS) \
	$(LEAKS_OBJECTS) $(call object,$(TEST_SOURCES) $(TEST_SHARED) $(BENCH_SOURCES))

ifdef V
quiet =
else
quiet = @printf '  %-5s %s\n' $(1) $(2);
endif

.PHONY: build
build: $(BUILD)/app $(BUILD)/desk $(BUILD)/upstream $(LEAKS_PROGRAMS) ## Compile the programs: build/app, build/desk, build/upstream, build/leaks/

$(BUILD)/app: $(LIBRARY_OBJECTS) $(APP_OBJECTS)
$(BUILD)/desk: $(LIBRARY_OBJECTS) $(DESK_OBJECTS)
$(BUILD)/upstream: $(LIBRARY_OBJECTS) $(UPSTREAM_OBJECTS)
$(foreach p,$(LEAKS),$(eval $(BUILD)/leaks/$p: $(LIBRARY_OBJECTS) $(call object,$(call leak_sources,$p))))
$(BUILD)/app $(BUILD)/desk $(BUILD)/upstream $(LEAKS_PROGRAMS):
	@mkdir -p $(@D)
	$(call quiet,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/recorder: $(RECORDER_OBJECTS) $(call object,$(RECORDER_COMMON))
	$(call quiet,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ -lprotobuf-c

$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(LIBRARY_OBJECTS)
	@mkdir -p $(@D)
	$(call quiet,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/bench/counted: $(filter-out %/main.o,$(APP_OBJECTS))

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(call object,$(TEST_SHARED)) $(TESTED_OBJECTS)
	@mkdir -p $(@D)
	$(call quiet,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(PROTO_HEADERS)
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) $(WARNINGS) -MMD -MP -c -o $@ $<

# A sanitizer's own start calls what is interposed here, before it can bear its own checks.
$(call object,services/probe/interpose.c services/probe/syscall.c): CFLAGS += -fno-sanitize=all

# Generated code is not held to our warnings.
$(BUILD)/proto/%.o: $(BUILD)/proto/%.c $(BUILD)/flags
	$(call quiet,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/proto/%.pb-c.c $(BUILD)/proto/%.pb-c.h &: services/proto/%.proto
	@mkdir -p $(@D)
	$(call quiet,PROTO,$<)$(PROTOC_C) --proto_path=services --c_out=$(BUILD) $<

# Changes only when the compiler, its flags or the place do: then everything is compiled anew.
FLAGS := $(shell $(CC) -dumpfullversion 2>/dev/null) $(CURDIR) $(CPPFLAGS) $(CFLAGS) $(WARNINGS) $(LDFLAGS) $(LDLIBS)
$(BUILD)/flags: force
	@mkdir -p $(@D)
	@echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' >$@
.PHONY: force

-include $(OBJECTS:.o=.d)

# ---- the stack --------------------------------------------------------------------------------
COMPOSE := docker compose
# ATTENDEE=3: every verb speaks to the stack of that attendee in a room.
ifeq ($(MAKELEVEL)$(origin ATTENDEE),0command line)
ATTENDEE_SETTINGS := $(shell workshop/instructor/attendee.sh '$(ATTENDEE)')
$(if $(ATTENDEE_SETTINGS),,$(error nothing was done))
$(foreach s,$(ATTENDEE_SETTINGS),$(eval export $(subst =, := ,$s)))
endif

.PHONY: up down logs shell trace leak limit metrics reset room mystery bundle load doctor
up: ## Everything, from nothing: engine, images, a healthy stack
	@docker/up.sh

down: ## Remove containers and networks (VOLUMES=1: the volumes too)
	@$(COMPOSE) --profile '*' down --remove-orphans $(if $(VOLUMES),--volumes)

logs: ## Follow what the stack logs
	@$(COMPOSE) logs --follow --tail=100

# Not from the environment: WSL has a NAME of its own there.
given = $(if $(filter command,$(origin $1)),$($1))
shell: ## A shell in the toolbox, beside the patient (IN=leaks: beside the leaks)
	@$(COMPOSE) --profile '*' exec $(if $(call given,IN),$(call given,IN)-)toolbox bash -l

trace: ## Take the patient's trace (SECONDS=5, NAME=; KERNEL=1: with the kernel's side)
	@docker/trace.sh '$(or $(call given,SECONDS),5)' '$(call given,NAME)' '$(call given,KERNEL)'

leak: ## A leaky program beside its fixed one (PAIR=file or http; COMPARE=1, NOFILE=256, STOP=1)
	@docker/leak.sh '$(call given,PAIR)' '$(call given,NOFILE)' '$(call given,COMPARE)' '$(call given,STOP)'

limit: ## How many files the patient may have open (NOFILE=64: no more than that, from now on)
	@docker/limit.sh '$(call given,NOFILE)'

metrics: ## Prometheus beside the running stack, with alerts for leaks
	@docker/metrics.sh

reset: ## Back to step 0 (HARD=1: in a new container; CAPTURES=1, PROGRESS=1: forgets them too)
	@workshop/instructor/reset.sh '$(call given,HARD)' '$(call given,CAPTURES)' '$(call given,PROGRESS)'

room: ## A stack for each attendee (N=5; STATUS=1, GOTO=3, RESET=all or 2,4, STOP=1)
	@$(foreach v,N STATUS GOTO VARIANT RESET STOP VOLUMES SSH HARD CAPTURES PROGRESS,$v='$(call given,$v)') \
		workshop/instructor/room.sh

mystery: ## A patient nobody has met, its names neutral (SEED=42; REVEAL=1 tells, STOP=1 ends it)
	@workshop/instructor/mystery.sh '$(call given,SEED)' '$(call given,REVEAL)' '$(call given,STOP)'

bundle: ## The whole workshop in one file, for a machine without a network (FILE=)
	@workshop/instructor/bundle.sh '$(call given,FILE)'

load: ## Take the images of such a file (FILE=)
	@workshop/instructor/load.sh '$(call given,FILE)'

doctor: ## What this machine lacks, what works without it, and the repair (N=5: for a room)
	@workshop/instructor/doctor.sh $(if $(call given,N),'$(call given,N)')

# ---- the workshop -----------------------------------------------------------------------------
.PHONY: answer verify progress
verify: ## Is your tree mended? (STEP=1 to 7, or PAIR=file or http)
	@workshop/verify/run.sh '$(call given,STEP)' '$(call given,PAIR)'

answer: ## Is that what is wrong? (STEP=3 FUNCTION= RESOURCE=; PAIR=file or http instead of STEP)
	@docker/answer.sh '$(call given,STEP)' '$(call given,PAIR)' '$(call given,FUNCTION)' '$(call given,RESOURCE)'

progress: ## Which labs have been answered, which are mended (RESET=1: forget it)
	@docker/progress.sh '$(call given,RESET)'

# ---- the patient on this machine --------------------------------------------------------------
.PHONY: run
run: ## Build the patient and run it here, without containers
	@docker/host-packages.sh $(PACKAGES)
	@$(MAKE) --no-print-directory build
	@$(BUILD)/app

# ---- proof ------------------------------------------------------------------------------------
# In the dev image (or with HOST=1) these run directly; elsewhere they start themselves in there.
DIRECT := $(strip $(SICKBAY_IN_DEV)$(HOST))
SWITCHES := $(foreach v,V DEBUG SAN ONLY BENCH_SECONDS BENCH_ROUNDS,$(if $($v),$v='$($v)'))

.PHONY: unit unit-programs lint format check bench e2e browser handouts capture prepared test nightly
ifneq ($(DIRECT),)

CHOSEN_PROGRAMS := $(if $(ONLY),$(foreach p,$(TEST_PROGRAMS),$(if $(findstring $(ONLY),$p),$p)),$(TEST_PROGRAMS))
unit-programs: $(CHOSEN_PROGRAMS)

unit: ## Unit tests (ONLY=part-of-a-path: some of them)
	@$(MAKE) --no-print-directory -j"$$(nproc)" unit-programs
	@tests/unit/run.sh $(CHOSEN_PROGRAMS)

lint: ## Format, shellcheck, cppcheck, layering, the foreign processor
	@tests/lint.sh

format: ## Lay out all C sources
	@find services tests \( -name '*.c' -o -name '*.h' \) -print0 | xargs -0 -r clang-format -i

check: ## Unit tests with ASan and UBSan, some with TSan, then the long (stress) ones
	@$(MAKE) --no-print-directory unit SAN=1
	@$(MAKE) --no-print-directory unit SAN=thread
	@SICKBAY_STRESS=1 $(MAKE) --no-print-directory unit

bench: ## The patient against a Go peer; prints ratios
	@$(MAKE) --no-print-directory build $(BENCH_PROGRAMS)
	@tests/bench/run.sh

else

unit lint format check:
	@docker/dev.sh dev $(MAKE) --no-print-directory $@ $(SWITCHES)
bench:
	@docker/dev.sh bench $(MAKE) --no-print-directory $@ $(SWITCHES)

endif

# What a stack that is tested is made of.
prepared:
	@docker/engine.sh
	@docker/base-image.sh
	@docker/viewer.sh
	@docker/charts.sh

e2e: prepared ## The whole stack under test, with its own name and ports
	@tests/e2e/run.sh

handouts: prepared ## What the texts print against what their commands say (ONLY=part-of-a-path, UPDATE=1)
	@TOPICS=tests/handouts E2E_PROJECT=$(or $(E2E_PROJECT),sickbay-handouts) E2E_PORT=$(or $(E2E_PORT),16070) tests/e2e/run.sh

capture: prepared ## Takes profiles/ anew, lab by lab (ONLY=06; COMPARE=1: and only compares)
	@TOPICS=tests/captures E2E_PROJECT=$(or $(E2E_PROJECT),sickbay-captures) E2E_PORT=$(or $(E2E_PORT),16080) tests/e2e/run.sh

browser: prepared ## The desk's pages in a real browser (TRACE=file: with that trace; PICTURES=1: new ones for the texts)
	@docker/npm.sh perfetto-ui argent playwright-core axe-core
	@tests/browser/run.sh

test: ## lint, unit, e2e, browser; one line 'N passed, N failed' each
	@failed=; for layer in lint unit e2e browser; do \
		$(MAKE) --no-print-directory $$layer || failed="$$failed $$layer"; \
	done; \
	if [ -n "$$failed" ]; then echo "test: not green:$$failed"; exit 1; fi

nightly: ## All that is promised, on a fresh clone: two hours (ONLY=part)
	@tests/nightly/run.sh

# ---- chores -----------------------------------------------------------------------------------
.PHONY: clean help
clean: ## Remove what was built (containers and images stay)
	@rm -rf build

help: ## This list
	@echo 'Sickbay: a sick C server, and every instrument to diagnose it. First: make up'
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / && !seen[$$1]++ { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
