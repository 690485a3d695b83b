"""The examples in the docstrings of public names, each module's one after the other."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.isolated import run
from tests.public import MODULES, examples, public_methods, public_objects
from tests.unit.decoding.protobuf_samples import provide_event_pb2
from tfkafka import write

# The others of their module use what these make.
FIRST = ("InferenceJob", "Stream", "learn")
RECORDS = 200


def codes_of(module: str) -> dict[str, str]:
    """The examples of a module and of its classes' methods, by name."""
    objects = public_objects(module)
    codes = {}
    for name in sorted(
        objects, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST)
    ):
        named = {name: objects[name]}
        named |= {f"{name}.{method}": f for method, f in public_methods(objects[name]).items()}
        for what, each in named.items():
            for number, code in enumerate(examples(each)):
                codes[f"{module}.{what}, example {number + 1}"] = code
    return codes


def run_examples(module: str, replaced: dict[str, str], folder: str) -> list[str]:
    """Run the examples of a module and return their names; what fails says which it was."""
    import keras
    import numpy as np
    import tensorflow as tf

    import tfkafka

    os.chdir(folder)
    provide_event_pb2()
    model = keras.Sequential([keras.layers.Input([18]), keras.layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    scope = {
        **{"json": json, "keras": keras, "np": np, "Path": Path, "signal": signal},
        **{"tf": tf, "tfkafka": tfkafka, "model": model, "train": lambda _features, _label: None},
    }
    codes = codes_of(module)
    for name, code in codes.items():
        for old, new in replaced.items():
            code = code.replace(f'"{old}', f'"{new}')
        exec(compile(code, f"the docstring of {name}", "exec"), scope)
    return list(codes)


@pytest.mark.parametrize("module", MODULES)
def test_each_example_runs(module, kafka, admin, make_topic, tmp_path):
    servers = kafka.bootstrap_servers
    names = ["susy-train", "susy-test", "clicks", "predictions", "new-topic"]
    names += ["arrays", "events", "examples", "images", "jets"]
    topics = {name: make_topic() for name in names}
    admin.delete_topic(topics["new-topic"])
    rows = [",".join([str(number / RECORDS)] * 18) for number in range(RECORDS)]
    for name in ("susy-train", "susy-test"):
        write(servers, topics[name], rows, [f"{number % 2}.0" for number in range(RECORDS)])
    replaced = topics | {"localhost:9092": servers}
    ran = run(run_examples, module, replaced, str(tmp_path))
    assert {name.split(",")[0].split(".")[-1] for name in ran} >= set(public_objects(module))
