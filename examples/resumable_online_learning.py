"""Online learning that survives crashes: the tutorial's model learns from a topic as rows arrive.

    python examples/resumable_online_learning.py                      # until 10 s bring no record
    python examples/resumable_online_learning.py --stream-timeout -1  # forever
    # at any time, in another terminal; with a new group each time
    python scripts/10_predict.py --model artifacts/online/model.keras --group-id beside-1

Kill it at any moment, kill Kafka, start the same command again: it continues as if nothing had
happened, and ends with the weights that it would have had, bit by bit. After SIGTERM it finishes
the current mini dataset and ends. The tutorial's steps 2 to 5 come before this.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import _common

arguments = _common.parse(
    __doc__,
    "--bootstrap-servers",
    "--seed",
    topic={"default": "susy-train"},
    folder={"type": Path, "help": "where the model is saved; default: online, beside susy.keras"},
    group_id={"help": "a group that shows the progress of learning in Kafka's tools"},
    mini_dataset={
        "type": _common.number_from(1),
        "default": 10_000,
        "help": "records of a mini dataset at most",
    },
    stream_timeout={
        "type": _common.number_from(-1),
        "default": 10_000,
        "help": "in ms; -1: forever",
    },
    epochs={"type": _common.number_from(1), "default": 3, "help": "over each mini dataset"},
    export_every={
        "type": _common.number_from(0),
        "default": 60,
        "help": "seconds between two model.keras",
    },
)

# Slow to import: a wrong option is reported before.
from reproduction.susy.model import build_model
from tfkafka import CsvDecoder
from tfkafka.online import Stream, learn

folder = arguments.folder or arguments.artifacts / "online"
servers = _common.find_kafka(arguments)

NUM_COLUMNS = 18
BATCH_SIZE = 32

# What is learnt from: all partitions of one topic, in mini datasets. Which records each mini
# dataset has is decided from offsets, and brought to the disk, before one of them is read. The
# group is only told; what it says is never read, so nobody's commit can make this skip or repeat a
# record.
try:
    stream = Stream(
        topic=arguments.topic,
        decode=CsvDecoder(NUM_COLUMNS, label="key"),
        servers=servers,
        configuration=arguments.command_config,
        mini_dataset=arguments.mini_dataset,
        stream_timeout=arguments.stream_timeout,
        group_id=arguments.group_id,
    )
except ValueError as error:
    sys.exit(f"{Path(__file__).name}: {error}")


# How a mini dataset is trained on, as in the tutorial: a few epochs, shuffled. The random state is
# set before each call from the seed and the mini dataset's number; Dropout's own is saved with the
# weights.
def train(model, features, labels):
    begun = time.monotonic()
    history = model.fit(
        features,
        labels,
        batch_size=BATCH_SIZE,
        epochs=arguments.epochs,
        shuffle=True,
        verbose=_common.keras_verbosity(),
    ).history
    print(
        f"accuracy {history['accuracy'][-1]:.4f}, loss {history['loss'][-1]:.4f}, "
        f"{time.monotonic() - begun:.1f} s",
        flush=True,
    )


# Weights, Dropout's random state, Adam's moments and the next offsets go into one file after each
# mini dataset. It is written under another name, flushed and renamed: a kill leaves the one before
# or the new one, never a half. Three are kept, each with a checksum. `learn` finds the newest
# intact one.
progress = learn(
    folder,
    stream,
    build_model,
    train,
    seed=arguments.seed,
    export_s=arguments.export_every,
    notify=lambda line: print(line, flush=True),
)

print(
    f"Learnt from {progress.records:,} records of {arguments.topic} in all, in "
    f"{progress.mini_datasets:,} mini datasets. {folder / 'model.keras'} is up to date."
)
if progress.training_s:
    print(
        f"This time: {progress.training_s:.1f} s of training, {progress.saving_s:.2f} s of saving "
        f"({progress.saving_s / progress.training_s:.1%} of it)."
    )
