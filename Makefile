# The README's two commands are `make demo` and `make test`. Each makes the virtual environment if there is none.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/pytest

.PHONY: demo test test-kafka faults faults-selftest lint format bench bench-quick lock clean

demo: $(VENV)/.installed
	$(BIN)/touchlog demo

# Everything that needs Python alone, the Kafka tests on librdkafka's mock broker (tests/kafka/README.md).
test: $(VENV)/.installed
	TOUCHLOG_TEST_KAFKA=mock $(PYTEST) -n 2 --dist worksteal -m "not broker and not registry and not slow"

# Insists on a real Apache Kafka and a real registry: Docker, or Java 17 and Maven.
test-kafka: $(VENV)/.installed
	TOUCHLOG_TEST_KAFKA=real $(PYTEST) -m "kafka or broker or registry"

# Kills, full disks, torn files, brokers that die (tests/faults/README.md): minutes; `make faults LONG=1` takes hours.
# `make faults FAULTS="--faults-seed 7 -k kill"` is the same again, or a part of it.
faults: $(VENV)/.installed
	$(BIN)/python -m pytest tests/faults --no-header -q --faults $(if $(LONG),long --timeout 14400,short) $(FAULTS)

# Faults put into the product: each has to make a fault test fail.
faults-selftest: $(VENV)/.installed
	$(BIN)/python -m tests.faults.selftest $(FAULTS)

lint: $(VENV)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Beside what one would use or write instead, on a real Apache Kafka; makes the peers' virtual environment at first. Some
# twenty minutes, and figures that mean something only where nothing else runs; docs/benchmarks has the last ones.
bench: $(VENV)/.installed
	$(BIN)/python -m tests.benchmarks.throughput --save

# The same in a few minutes, and where the fold's time goes.
bench-quick: $(VENV)/.installed
	$(BIN)/python -m tests.benchmarks.stages
	$(BIN)/python -m tests.benchmarks.throughput --events 400000 --rounds 1

# Pin what is installed now; pyproject.toml has the bounds.
lock: $(VENV)/.installed
	$(BIN)/pip freeze --exclude-editable | grep -viE '^(pip|setuptools|py-spy)==' > constraints.txt

clean:
	rm -rf $(VENV) touchlog-demo touchlog-data

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "touchlog needs Python 3.11 or newer; type: make PYTHON=python3.12 demo"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
