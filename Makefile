# make reproduce   the whole tutorial, on Kafka 2.7.2 with ZooKeeper
# make test        all tests; the tutorial's part on Kafka 2.7.2 as well
# make bench       the benchmarks, 20 min
# make faults      what is killed, frozen and cut off, 3 min
# make chaos       random faults on a cluster, 2 min of them; SEED=... repeats the same ones
# make replication brokers of a cluster killed and restarted under load, 3 min
# make test-distributed   training by several processes, with JAX and with Ray, 4 min
# make fidelity REAL=SUSY.csv.gz   synthetic rows against real ones
# make structure   size of the library and imports between its packages
# make native      the native library, which is optional; what runs tfkafka here begins with it
# make wheels      sdist and wheels in dist/, for all platforms that have a native library
# make lock        requirements*.txt -> requirements*.lock        make clean   what these leave
#
# Not in make test; .github/workflows/nightly.yml runs them:
# make bench-full  the benchmarks with scaling, 40 min
# make coverage    which lines of tfkafka the unit and integration tests run, 30 min; the page is
#                  reports/coverage/index.html
# make faults-full each fault 100 times, 10 min
# make chaos-full  random faults on a cluster, an hour; CHAOS_MINUTES=... for another time
# make replication-full  each 20, 5 and 3 times, and a rolling upgrade from 3.9.2 to 4.4.0, 10 min
# make soak        memory, threads and descriptors of a process that reads and reads, 30 min
# make histories   scripted histories of reading on both fillers against recorded ones, 8 min
# make mutations   the core broken on purpose, one fault at a time: tests must notice
# make sanitize    the native library under GCC's sanitizers, and fuzzed; needs g++, 3 min;
#                  FUZZ_SECONDS=600 for 10 min each, SEED=... for another seed
# make package     sdist and wheels in dist/; installs them with each Python, reads a topic and trains,
#                  20 min
# make docs        the documentation with the reference, as pages in reports/docs, 2 min
# make notebook    the tutorial as notebooks/kafka.ipynb, and reports/notebook.html, 3 min;
#                  NOTEBOOK_READER=tfio takes tensorflow-io
# make test-docker the tests that can share a broker, on the official image
# make test-secured the tutorial, the readers, exactly-once and the learner on a Kafka with TLS and
#                  passwords, and each class with each mechanism on 3.9.2 and 4.4.0, 20 min
# make test-latest the tests that need no tensorflow-io, on the newest TensorFlow and Kafka 4.4.0
# make test-versions  the main promises of readers, writers, exactly-once and online learning on each
#                  version of Kafka that is known, but not on ZooKeeper; 20 min
# make test-distributed-full  the same as test-distributed, each process killed at 10 moments, and
#                  what takes longer: signals, frozen processes, a kill under local.py
# make test-without-native  all of make test with Python alone, 20 min
#
# STACK=latest     on the newest TensorFlow, without tensorflow-io: the tutorial, for example, by
#                  make reproduce STACK=latest READER=tfkafka KAFKA_VERSION=4.4.0
# STACK=distributed  the same with JAX and Ray
#
# Needs Python 3.11 or 3.12 (other stacks: or 3.13), make, and on first use the network; everything
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
else ifeq ($(STACK),distributed)
  VENV ?= .venv-distributed
  LOCK := requirements-distributed.lock
  PYTHONS := 3.13 3.12 3.11
else
  $(error STACK=$(STACK): must be tutorial, latest or distributed)
endif
RUN := $(VENV)/bin/python

# A variable's value as one word for the shell: a path may have blanks, quotes and $.
quoted = '$(subst ','\'',$(value $(1)))'

CANDIDATES := $(if $(PYTHON),$(call quoted,PYTHON),$(PYTHONS:%=python%) python3 python)
SUPPORTED  := import sys; sys.exit("%d.%d" % sys.version_info[:2] not in "$(PYTHONS)".split())

# What is left of the report where it cannot be written is of an earlier run: that is a failure too.
REPORT = $(RUN) -m reproduction.report || [ $$status -ne 0 ] || status=1

.PHONY: reproduce test test-latest test-without-native tests-without-tensorflow-io test-docker test-secured test-versions test-distributed test-distributed-full tests-distributed package wheels native lint coverage histories mutations sanitize structure faults faults-full chaos chaos-full replication replication-full soak bench bench-full fidelity docs notebook lock clean

reproduce: $(VENV)/installed native
	$(RUN) scripts/run_tutorial.py --kafka-version $(KAFKA_VERSION) --reader $(READER) \
	  --rows $(ROWS) --epochs $(EPOCHS) --susy $(call quoted,SUSY) --port $(PORT)

# All tests on Kafka 3.9.2, and the tutorial's also on its own Kafka, with fewer rows. Most of it is
# waiting, so four go at a time; tests/order.py says which stay together, and what goes first.
PYTEST := $(RUN) -m pytest
IN_PARALLEL := -n 4 --dist loadscope --benchmark-disable
test: $(VENV)/installed native lint
	@rm -f reports/tests.xml reports/tests-faults.xml reports/claims.json
	$(PYTEST) $(IN_PARALLEL) --junitxml=reports/tests.xml \
	  --kafka-observations=reports/claims.json; status=$$?; \
	  echo; $(REPORT); exit $$status

# Again in Python, as on a machine where nothing can be compiled.
test-without-native: export TFKAFKA_NATIVE = 0
test-without-native: test

test-latest:
	$(MAKE) STACK=latest tests-without-tensorflow-io

tests-without-tensorflow-io: $(VENV)/installed native
	$(PYTEST) tests/unit tests/integration/tutorial tests/integration/tfkafka $(IN_PARALLEL) \
	  --reader tfkafka --kafka-version 4.4.0 --susy-rows 10000 \
	  --junitxml=reports/tests-latest.xml --kafka-observations=reports/claims-latest.json

# What a version could change: how clients and brokers agree on versions of requests, members of
# groups, transactions, elections of a leader. One broker at a time, killed too.
ON_EACH_VERSION := tests/integration/test_admin.py $(addprefix tests/integration/tfkafka/test_, \
  bounded.py exactly_once.py groups.py learn.py rebalance.py write.py) \
  tests/faults/test_exactly_once_broker.py
KRAFT_VERSIONS := from tfkafka.testing.brokers import jars; print(*jars.kraft_versions())
test-versions: $(VENV)/installed native
	@versions=$$($(RUN) -c '$(KRAFT_VERSIONS)') || exit; failed=; for version in $$versions; do \
	  echo "Kafka $$version"; \
	  $(PYTEST) $(ON_EACH_VERSION) $(IN_PARALLEL) --kafka-version $$version \
	    --junitxml=reports/tests-kafka-$$version.xml || failed="$$failed $$version"; \
	done; [ -z "$$failed" ] || { echo "Not all tests passed on Kafka$$failed"; exit 1; }

# One test at a time: each has several processes that train, and some count seconds.
# DISTRIBUTED=full kills at as many moments as a test promises, and leaves out none.
test-distributed-full: export DISTRIBUTED = full
test-distributed test-distributed-full:
	$(MAKE) STACK=distributed tests-distributed

tests-distributed: $(VENV)/installed native
	$(PYTEST) tests/distributed -m distributed --junitxml=reports/tests-distributed.xml

# One child process of these makes clients that have no settings.
SECURED := tests/integration/tutorial $(patsubst %,tests/integration/tfkafka/test_%.py,bad_records \
  bounded commit exactly_once groups header_labels learn manifest predictions read rebalance \
  starting_offsets tfio write) \
  --deselect tests/integration/tfkafka/test_read.py::test_tensorflow_is_not_needed
test-secured: $(VENV)/installed native
	$(PYTEST) $(SECURED) $(IN_PARALLEL) --kafka-secured --susy-rows 10000 \
	  --junitxml=reports/tests-secured.xml
	$(PYTEST) tests/integration/tfkafka/test_security_matrix.py \
	  tests/integration/test_command_config.py -m "secured or not secured"

# Without faults and benchmarks, whose limits are times: measuring makes Python slower.
coverage: $(VENV)/installed native
	@mkdir -p reports
	$(PYTEST) tests/unit tests/integration $(IN_PARALLEL) --cov --cov-report=term \
	  --cov-report=html --cov-report=markdown:reports/coverage.md

# pytest skips what needs Docker where there is none; this target fails.
test-docker: $(VENV)/installed native
	@$(RUN) -c 'import sys, tfkafka.testing.brokers.compose as c; sys.exit(c.available())'
	$(PYTEST) tests/integration --kafka docker --susy-rows 10000

lint: $(VENV)/installed
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy
	@$(VENV)/bin/lint-imports --no-cache

histories: $(VENV)/installed native
	for filler in python native; do \
	  $(RUN) -m tests.histories --compare tests/histories/recorded.json --filler $$filler || exit; \
	done

mutations: $(VENV)/installed
	$(RUN) tools/mutations.py

sanitize: $(VENV)/installed
	$(RUN) -m tests.native.sanitize

structure: $(VENV)/installed
	PYTHONPATH=. $(RUN) tools/structure.py

# BENCH takes further options of pytest-benchmark, for example BENCH=--benchmark-save=before.
bench: MARKED := bench
bench-full: MARKED := bench or scaling
bench bench-full: $(VENV)/installed native
	@mkdir -p reports
	@rm -f reports/benchmarks.json
	$(PYTEST) tests/benchmarks -m "$(MARKED)" -p no:randomly \
	    --benchmark-json=reports/benchmarks.json $(BENCH); status=$$?; \
	$(REPORT); exit $$status

# docs/delivery-guarantees.md says what they show. FAULTS=full repeats each fault as often as its
# test promises. They mostly wait, so three go at a time, each with its own broker.
faults-full: export FAULTS = full
faults faults-full: $(VENV)/installed native
	@rm -f reports/tests-faults.xml
	$(PYTEST) tests/faults -n 3 --dist worksteal --benchmark-disable \
	  --junitxml=reports/tests-faults.xml; status=$$?; \
	$(REPORT); exit $$status

# Each prints its figures, and leaves them in reports/. CHAOS_VERSION=4.4.0 takes another Kafka.
chaos-full: export CHAOS_MINUTES ?= 60
chaos chaos-full: $(VENV)/installed native
	$(PYTEST) tests/chaos -m chaos -p no:randomly

# Each leaves a log with a verdict, reports/replication-*.txt.
replication-full: export REPLICATION = full
replication replication-full: $(VENV)/installed native
	$(PYTEST) tests/replication -m replication -p no:randomly

# Without pytest's logging, which would keep what the soak logs.
soak: $(VENV)/installed native
	$(PYTEST) tests/soak -m soak -p no:randomly -p no:logging

fidelity: $(VENV)/installed
	@test -n $(call quoted,REAL) || { echo "make fidelity: name real rows, REAL=path/to/SUSY.csv.gz"; exit 2; }
	$(RUN) tools/fidelity.py --real $(call quoted,REAL) --out reports/fidelity

# Each warning is an error, and all is read again: of what it has read before, Sphinx says nothing.
docs: .venv-docs/installed
	PYTHONPATH=. TF_CPP_MIN_LOG_LEVEL=3 .venv-docs/bin/sphinx-build -b html -W --keep-going -E -q \
	  docs reports/docs
	@echo "Wrote reports/docs/index.html"

# notebooks/kafka.py is what is kept; the notebook has its outputs too.
JUPYTER := PYTHONPATH=$(call quoted,CURDIR) TF_CPP_MIN_LOG_LEVEL=3 .venv-docs/bin
notebook: .venv-docs/installed
	$(JUPYTER)/jupytext --quiet --to ipynb --execute --run-path . notebooks/kafka.py
	$(JUPYTER)/jupyter-nbconvert --log-level ERROR --to html --output-dir reports --output notebook \
	  notebooks/kafka.ipynb
	@echo "Wrote notebooks/kafka.ipynb and reports/notebook.html"

# Compiled by the system's compiler, or by zig's where none works. Python does without it, so nothing
# of this is an error; it is tried again each time.
NATIVE := tfkafka/native/libtfkafka_native.so
NO_COMPILER := 3
native: $(NATIVE)
$(NATIVE): $(wildcard $(addprefix tfkafka/native/,build.py sources.py *.cc *.h */*.h)) | $(VENV)/installed
	@$(RUN) -m tfkafka.native.build; status=$$?; \
	if [ $$status -eq $(NO_COMPILER) ]; then \
	  [ -e .venv-native/installed ] || echo "Downloading zig's compiler, 100 MB"; \
	  if PIP_RETRIES=1 $(MAKE) --silent .venv-native/installed 2>/dev/null; then \
	    .venv-native/bin/python -m tfkafka.native.build; status=$$?; \
	  else echo "It cannot be installed: make .venv-native/installed says why"; fi; \
	fi; \
	[ $$status -eq 0 ] || echo "tfkafka is used without its native library: it reads more slowly"

# Installed whole or not at all: a broken installation has no such file and is begun again.
$(VENV)/installed: $(LOCK)
.venv-distributed/installed: requirements-distributed.lock
.venv-package/installed: requirements-package.lock
.venv-docs/installed: requirements-docs.lock
.venv-native/installed: requirements-native.lock
$(sort $(addsuffix /installed,$(VENV) .venv-distributed .venv-package .venv-docs .venv-native)):
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

package: $(VENV)/installed wheels
	$(PYTEST) tests/package -m package

# A platform's name in a wheel, and zig's name of it. The wheel without the library is for all others.
WHEELS := manylinux_2_17_x86_64=x86_64-linux-gnu.2.17 manylinux_2_17_aarch64=aarch64-linux-gnu.2.17 \
  musllinux_1_2_x86_64=x86_64-linux-musl macosx_11_0_arm64=aarch64-macos.11.0

# Wheels are built from the sdist; what builds them is locked as well, so nothing is fetched for it.
WHEEL := .venv-package/bin/python -m pip wheel --no-build-isolation --no-deps --quiet --wheel-dir dist
wheels: .venv-package/installed
	rm -rf dist
	.venv-package/bin/python -m build --no-isolation --sdist
	TFKAFKA_NATIVE=0 $(WHEEL) dist/*.tar.gz
	for platform in $(WHEELS); do TFKAFKA_WHEEL=$$platform $(WHEEL) dist/*.tar.gz || exit; done
	.venv-package/bin/twine check --strict dist/*

# For each Python above, on Linux. uv resolves, keeping what a lock has; pip installs what it found.
lock: $(addsuffix .lock.new,requirements requirements-latest requirements-distributed \
  requirements-package requirements-docs requirements-native)
	for new in $^; do mv $$new $${new%.new}; done

%.lock.new: %.txt requirements.txt requirements-common.txt
	if [ -e $*.lock ]; then cp $*.lock $@; fi
	uv pip compile $< --output-file $@ --python-version 3.11 --python-platform linux \
	  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --quiet

clean:
	if [ -x $(RUN) ] && [ -d artifacts/kafka ]; then $(RUN) scripts/11_stop_kafka.py; fi
	rm -rf .venv .venv-latest .venv-distributed .venv-package .venv-docs .venv-native $(NATIVE) artifacts \
	  reports dist notebooks/*.ipynb .pytest_cache .ruff_cache .mypy_cache .benchmarks .hypothesis
