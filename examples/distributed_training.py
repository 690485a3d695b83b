"""Training by several processes, on one machine or more: Keras on JAX, a part of a topic for each.

    python examples/launch/local.py --processes 2 -- python examples/distributed_training.py

The environment has JAX_PROCESS_ID, JAX_NUM_PROCESSES and, for several, JAX_COORDINATOR_ADDRESS,
which is HOST:PORT of process 0. After each step all processes have equal weights. Process 0 writes
a checkpoint after each epoch, and sends it to all when they start: they share no folder. Kill any
of them at any moment, and start all again: training ends with the weights that it would have had,
bit by bit. The tutorial's steps 2 to 5 come before this.
"""

import errno
import functools
import hashlib
import io
import json
import os
import sys
import zipfile
from pathlib import Path

import numpy as np


def place():
    """Return this process's index, the number of all, and the address of process 0."""
    texts = [os.environ.get("JAX_PROCESS_ID", "0"), os.environ.get("JAX_NUM_PROCESSES", "1")]
    address = os.environ.get("JAX_COORDINATOR_ADDRESS")
    if not all(text.isdecimal() for text in texts) or int(texts[0]) >= int(texts[1]):
        sys.exit(
            f"distributed_training.py: JAX_PROCESS_ID is {texts[0]} and JAX_NUM_PROCESSES is "
            f"{texts[1]}: must be whole numbers, the first from 0 and less than the second"
        )
    if texts[1] != "1" and not address:
        sys.exit("distributed_training.py: JAX_COORDINATOR_ADDRESS must be HOST:PORT of process 0")
    return int(texts[0]), int(texts[1]), address


def load(path, topic):
    """Return the content of a checkpoint; b"" where there is none yet."""
    if not path.exists():
        return b""
    content = path.read_bytes()
    try:
        found = unpack(content)["manifest"]["topic"]
    except (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = f"is no checkpoint of this, or damaged ({error}): name another --folder"
        raise OSError(errno.EINVAL, reason, str(path)) from error
    if found != topic:
        reason = f"is of topic {found}, and not of {topic}: name another --folder"
        raise OSError(errno.EINVAL, reason, str(path))
    return content


def unpack(content):
    if not content:
        return None
    with np.load(io.BytesIO(content)) as arrays:
        about, *values = arrays.values()
    return json.loads(str(about)) | {"values": values}


# launch/ray_train.py imports this, where no signal may be handled.
if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

    import _common

    arguments = _common.parse(
        __doc__,
        "--bootstrap-servers",
        "--epochs",
        "--seed",
        topic={"default": "susy-train"},
        batch_size={
            "type": _common.number_from(1),
            "default": 64,
            "help": "records of a process in each step",
        },
        folder={
            "type": Path,
            "help": "of process 0's checkpoint.npz and model.keras; default: artifacts/bounded",
        },
    )
    index, count, address = place()
    servers = _common.find_kafka(arguments)
    _common.require_topic(arguments, servers, arguments.topic)
    folder = arguments.folder or arguments.artifacts / "bounded"
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.npz"
    saved = load(checkpoint, arguments.topic) if index == 0 else b""

# Slow to import: what is wrong is reported before. Keras looks for its backend when it is imported.
os.environ["KERAS_BACKEND"] = "jax"
import jax
import keras
import tensorflow as tf
from jax.experimental.multihost_utils import broadcast_one_to_all

from tfkafka import CsvDecoder, KafkaDataset

NUM_COLUMNS = 18
# A process that is silent for so long is dead, and then all others end.
HEARTBEAT_S = 10


def start(index, count, address):
    """Join the other processes. JAX refuses this after its first computation."""
    tf.config.set_visible_devices([], "GPU")  # tf.data needs none, and would take its memory
    if count > 1:
        jax.distributed.initialize(address, count, index, heartbeat_timeout_seconds=HEARTBEAT_S)
        # Each process reads its own part of the data: Keras need not divide it again.
        distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
        keras.distribution.set_distribution(distribution)


def train(servers, configuration, topic, batch_size, epochs, seed, saved, save):
    """Train, and return the model.

    Process 0 gives the checkpoint as `saved`, b"" to begin; other processes give b"". Each calls
    `save(content, logs)` after each epoch, process 0 with the new checkpoint, others with b"".
    """
    state = unpack(from_process_0(saved))
    # Both ends of each partition are pinned by process 0 when training begins for the first time.
    # From then on the manifest says which records these are.
    if state:
        dataset = KafkaDataset.from_manifest(
            state["manifest"], servers=servers, configuration=configuration, shard="jax"
        )
    else:
        dataset = KafkaDataset(
            topic,
            servers=servers,
            configuration=configuration,
            decode=CsvDecoder(NUM_COLUMNS, label="key"),
            batch_size=batch_size,
            shard="jax",
        )
    keras.utils.set_random_seed(seed)
    model = build_model()
    variables = [*model.variables, *model.optimizer.variables]
    if state:
        for variable, value in zip(variables, state["values"], strict=True):
            variable.assign(value)

    def save_epoch(epoch, logs):
        is_first = jax.process_index() == 0
        save(pack(epoch + 1, dataset.manifest(), variables) if is_first else b"", logs)

    # Equally many steps of one shape in each process, whatever its part of the topic has.
    model.fit(
        dataset.padded(),
        initial_epoch=state["epochs"] if state else 0,
        epochs=epochs,
        shuffle=False,
        verbose=2 if jax.process_index() == 0 else 0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=save_epoch)],
    )
    return model


def build_model():
    model = keras.Sequential(
        [
            keras.layers.Input([NUM_COLUMNS]),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    # Rows that only fill a batch have weight 0, and must not count in its mean.
    loss = keras.losses.BinaryCrossentropy(reduction="mean_with_sample_weight")
    model.compile("adam", loss, weighted_metrics=["accuracy"])
    # Its moments are a part of the checkpoint.
    model.optimizer.build(model.trainable_variables)
    return model


def pack(epochs, manifest, variables):
    """Return a checkpoint: how many epochs of which records were seen, and all variables.

    These are the weights, Dropout's random state and Adam's moments.
    """
    content = io.BytesIO()
    about = np.array(json.dumps({"epochs": epochs, "manifest": manifest}))
    np.savez(content, about, *(np.asarray(variable.value) for variable in variables))
    return content.getvalue()


def from_process_0(content):
    """Return process 0's bytes in each process."""
    size = int(broadcast_one_to_all(np.int32(len(content))))
    sent = np.frombuffer(content.ljust(size, b"\0"), np.uint8)
    return np.asarray(broadcast_one_to_all(sent)).tobytes()


def replace(path, content):
    """Write a file whole or not at all: a kill leaves the one before."""
    scratch = path.with_name(f".new-{path.name}")
    with scratch.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def leave(show, *error):
    """Show an error, and end at once: JAX's way out waits for the others, and they for this one."""
    show(*error)
    sys.stderr.flush()
    os._exit(1)


def main():
    start(index, count, address)
    sys.excepthook = functools.partial(leave, sys.excepthook)
    model = train(
        servers,
        arguments.command_config,
        arguments.topic,
        arguments.batch_size,
        arguments.epochs,
        arguments.seed,
        saved,
        lambda content, _logs: content and replace(checkpoint, content),
    )
    weights = b"".join(np.asarray(weight.value).tobytes() for weight in model.weights)
    print(f"Process {index} of {count}: weights {hashlib.sha256(weights).hexdigest()[:16]}")
    if index == 0:
        # Keras makes variables when it saves, and would wait for all processes to make them.
        keras.distribution.set_distribution(None)
        model.save(folder / "model.keras")


if __name__ == "__main__":
    main()
