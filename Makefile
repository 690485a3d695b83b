# make reproduce   the whole tutorial, on Kafka 2.7.2 with ZooKeeper
# make test        all tests; the tutorial's part on Kafka 2.7.2 as well
# make bench       the benchmarks, 15 min
# make faults      what is killed, frozen and cut off, 3 min
# make chaos       random faults on a cluster, 2 min of them; SEED=... repeats the same ones
# make fidelity REAL=SUSY.csv.gz   synthetic rows against real ones
# make structure   size of the library and imports between its rooms
# make lock        requirements*.txt -> requirements*.lock        make clean   what these leave
#
# Not in make test; .github/workflows/nightly.yml runs them:
# make bench-full  the benchmarks with scaling, 30 min
# make faults-full each fault 100 times, 10 min
# make chaos-full  random faults on a cluster, an hour; CHAOS_MINUTES=... for another time
# make soak        memory, threads and descriptors of a process that reads and reads, 30 min
# make histories   scripted histories of reading against those recorded before, 4 min
# make mutations   the core broken on purpose, one fault at a time: tests must notice
# make package     sdist and wheel in dist/; installs the wheel and reads a topic with it, 10 min
# make test-docker the tests that can share a broker, on the official image
# make test-latest the tests that need no tensorflow-io, on the newest TensorFlow and Kafka 4.4.0
#
# STACK=latest     on the newest TensorFlow, without tensorflow-io: the tutorial, for example, by
#                  make reproduce STACK=latest READER=tfkafka KAFKA_VERSION=4.4.0
#
# Needs Python 3.11 or 3.12 (STACK=latest: or 3.13), make, and on first use the network; everything
# else is installed here.

KAFKA_VERSION ?= 2.7.2
READER        ?= tfio
ROWS          ?= 100000
EPOCHS        ?= 10
SUSY          ?= auto
PORT          ?= 9092
STACK         ?= tutorial
BENCH         ?=

ifeq ($(STACK),tutorial)
  VENV ?= .venv
  LOCK := requirements.lock
  PYTHONS := 3.12 3.11
else ifeq ($(STACK),latest)
  VENV ?= .venv-latest
  LOCK := requirements-latest.lock
  PYTHONS := 3.13 3.12 3.11
else
  $(error STACK=$(STACK): must be tutorial or latest)
endif
RUN := $(VENV)/bin/python

# A variable's value as one word for the shell: a path may have blanks, quotes and $.
quoted = '$(subst ','\'',$(value $(1)))'

CANDIDATES := $(if $(PYTHON),$(call quoted,PYTHON),$(PYTHONS:%=python%) python3 python)
SUPPORTED  := import sys; sys.exit("%d.%d" % sys.version_info[:2] not in "$(PYTHONS)".split())

# What is left of the report where it cannot be written is of an earlier run: that is a failure too.
REPORT = $(RUN) -m reproduction.report || [ $$status -ne 0 ] || status=1

.PHONY: reproduce test test-latest tests-without-tensorflow-io test-docker package lint histories mutations structure faults faults-full chaos chaos-full soak bench bench-full fidelity lock clean

reproduce: $(VENV)/installed
	$(RUN) scripts/run_tutorial.py --kafka-version $(KAFKA_VERSION) --reader $(READER) \
	  --rows $(ROWS) --epochs $(EPOCHS) --susy $(call quoted,SUSY) --port $(PORT)

# All tests on Kafka 3.9.2, and the tutorial's also on its own Kafka, with fewer rows. Most of it is
# waiting, so four go at a time; tests/order.py says which stay together, and what goes first.
PYTEST := $(RUN) -m pytest
IN_PARALLEL := -n 4 --dist loadscope --benchmark-disable
test: $(VENV)/installed lint
	@rm -f reports/tests.xml reports/tests-faults.xml
	$(PYTEST) $(IN_PARALLEL) --junitxml=reports/tests.xml; status=$$?; \
	  echo; $(REPORT); exit $$status

test-latest:
	$(MAKE) STACK=latest tests-without-tensorflow-io

tests-without-tensorflow-io: $(VENV)/installed
	$(PYTEST) tests/unit tests/integration/tutorial tests/integration/tfkafka $(IN_PARALLEL) \
	  --reader tfkafka --kafka-version 4.4.0 --susy-rows 10000 \
	  --junitxml=reports/tests-latest.xml

# pytest skips what needs Docker where there is none; this target fails.
test-docker: $(VENV)/installed
	@$(RUN) -c 'import sys, tfkafka.testing.brokers.compose as c; sys.exit(c.available())'
	$(PYTEST) tests/integration --kafka docker --susy-rows 10000

lint: $(VENV)/installed
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy
	@$(VENV)/bin/lint-imports --no-cache

histories: $(VENV)/installed
	$(RUN) -m tests.histories --compare tests/histories/recorded.json

mutations: $(VENV)/installed
	$(RUN) tools/mutations.py

structure: $(VENV)/installed
	PYTHONPATH=. $(RUN) tools/structure.py

# BENCH takes further options of pytest-benchmark, for example BENCH=--benchmark-save=before.
bench: MARKED := bench
bench-full: MARKED := bench or scaling
bench bench-full: $(VENV)/installed
	@mkdir -p reports
	@rm -f reports/benchmarks.json
	$(PYTEST) tests/benchmarks -m "$(MARKED)" -p no:randomly \
	    --benchmark-json=reports/benchmarks.json $(BENCH); status=$$?; \
	$(REPORT); exit $$status

# docs/delivery-guarantees.md says what they show. FAULTS=full repeats each fault as often as its
# test promises. They mostly wait, so three go at a time, each with its own broker.
faults-full: export FAULTS = full
faults faults-full: $(VENV)/installed
	@rm -f reports/tests-faults.xml
	$(PYTEST) tests/faults -n 3 --dist worksteal --benchmark-disable \
	  --junitxml=reports/tests-faults.xml; status=$$?; \
	$(REPORT); exit $$status

# Each prints its figures, and leaves them in reports/. CHAOS_VERSION=4.4.0 takes another Kafka.
chaos-full: export CHAOS_MINUTES ?= 60
chaos chaos-full: $(VENV)/installed
	$(PYTEST) tests/chaos -m chaos -p no:randomly

# Without pytest's logging, which would keep what the soak logs.
soak: $(VENV)/installed
	$(PYTEST) tests/soak -m soak -p no:randomly -p no:logging

fidelity: $(VENV)/installed
	@test -n $(call quoted,REAL) || { echo "make fidelity: name real rows, REAL=path/to/SUSY.csv.gz"; exit 2; }
	$(RUN) tools/fidelity.py --real $(call quoted,REAL) --out reports/fidelity

# Installed whole or not at all: a broken installation has no such file and is begun again.
$(VENV)/installed: $(LOCK)
.venv-package/installed: requirements-package.lock
$(VENV)/installed .venv-package/installed:
	@python=$$(for candidate in $(CANDIDATES); do \
	    if "$$candidate" -c '$(SUPPORTED)' 2>/dev/null; then echo "$$candidate"; break; fi; done); \
	if [ -z "$$python" ]; then \
	  echo "make: needs one of Python $(PYTHONS), and none of these is one:" $(CANDIDATES) \
	    "- name yours with PYTHON=/path/to/python" >&2; exit 1; fi; \
	echo "Installing into $(@D) with $$python ($$("$$python" --version))"; \
	rm -rf $(@D) && "$$python" -m venv $(@D)
	$(@D)/bin/python -m pip install --disable-pip-version-check --quiet --progress-bar on \
	  --require-hashes -r $<
	@touch $@

# The wheel is built from the sdist; what builds them is locked as well, so nothing is fetched for it.
package: $(VENV)/installed .venv-package/installed
	rm -rf dist
	.venv-package/bin/python -m build --no-isolation
	.venv-package/bin/twine check --strict dist/*
	$(PYTEST) tests/package -m package

# For each Python above, on Linux. uv resolves, keeping what a lock has; pip installs what it found.
lock: requirements.lock.new requirements-latest.lock.new requirements-package.lock.new
	for new in $^; do mv $$new $${new%.new}; done

%.lock.new: %.txt requirements-common.txt
	if [ -e $*.lock ]; then cp $*.lock $@; fi
	uv pip compile $< --output-file $@ --python-version 3.11 --python-platform linux \
	  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --quiet

clean:
	if [ -x $(RUN) ] && [ -d artifacts/kafka ]; then $(RUN) scripts/11_stop_kafka.py; fi
	rm -rf .venv .venv-latest .venv-package artifacts reports dist \
	  .pytest_cache .ruff_cache .mypy_cache .benchmarks .hypothesis
