"""Readers, callbacks, inference and learning with Keras' other backends.

Keras takes its backend when it is imported. So tests that usually run with TensorFlow run here in a
session of their own, on the broker of this one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.distributed.conftest import FULL

pytestmark = pytest.mark.distributed

DEADLINE_S = 600.0
SHOWN = 5000
IN_TFKAFKA = "tests/integration/tfkafka"
TESTS = [
    # Models of all kinds by `keras_predict`.
    "tests/unit/exactly_once/test_predictions.py",
    f"{IN_TFKAFKA}/test_exactly_once.py::test_a_keras_model",
    f"{IN_TFKAFKA}/test_exactly_once.py::test_models_are_exchanged_between_two_transactions",
    # Readers of all kinds in `fit`, `evaluate` and `predict`.
    f"{IN_TFKAFKA}/test_manifest.py::test_fit_must_say_how_many_records_it_has_used",
    f"{IN_TFKAFKA}/test_commit.py" + ("" if FULL else "::test_two_epochs"),
    f"{IN_TFKAFKA}/test_metrics_callback.py::test_evaluate_and_predict_have_them",
    f"{IN_TFKAFKA}/test_metrics_callback.py::test_mini_datasets",
    f"{IN_TFKAFKA}/test_metrics_callback.py::test_what_an_epoch_has_read",
]
# `learn`: it evaluates, trains, exports, and goes on where it ended. Else with shards only.
LEARNING = [
    f"{IN_TFKAFKA}/test_learn.py::test_each_mini_dataset_is_evaluated_before_it_is_trained_on",
] * FULL


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_what_others_test_with_tensorflow(backend, kafka):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    # Their processes import TensorFlow first; triton 3.9 then ends them with an abort.
    learning = [] if backend == "torch" and find_spec("triton") else LEARNING
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--kafka", kafka.bootstrap_servers, *TESTS, *learning],
        env=os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stdout[-SHOWN:]
