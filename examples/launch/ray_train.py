"""examples/distributed_training.py on Ray Train, which starts its processes, and again if one dies.

    python examples/launch/ray_train.py --processes 2 --storage /shared/susy
    RAY_ADDRESS=10.0.0.1:6379 python examples/launch/ray_train.py ...   # on a cluster

What was learnt and from which offsets is one checkpoint: Ray may lose the newest one, but never a
part of it. The same command finds it in --storage and continues. All machines need this repository
in the same place, and --storage, which may be an address such as s3://bucket/susy.
"""

import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(EXAMPLES), str(EXAMPLES.parent / "scripts")]

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
    processes={"type": _common.number_from(1), "default": 2},
    failures={"type": _common.number_from(0), "default": 3, "help": "restarts at most"},
    storage={"help": "of checkpoints: a folder or an address; default: ray, beside susy.keras"},
)

# Slow to import: a wrong option is reported before.
import ray
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.jax import JaxTrainer

CHECKPOINT = "checkpoint.npz"
KEPT = 3


def in_each_process(settings):
    """Train. Ray sends this function to the processes that it starts; they import what it needs."""
    import socket
    import tempfile

    from ray.train import Checkpoint, collective, get_checkpoint, get_context, report

    sys.path[:0] = [str(EXAMPLES), str(EXAMPLES.parent)]
    from distributed_training import start, train

    index, count = get_context().get_world_rank(), get_context().get_world_size()
    # Ray itself joins the processes of JAX only on GPUs and TPUs.
    with socket.create_server(("", 0)) as server:
        address = f"{ray.util.get_node_ip_address()}:{server.getsockname()[1]}"
    start(index, count, collective.broadcast_from_rank_zero(address))

    saved = b""
    if index == 0 and (found := get_checkpoint()):
        with found.as_directory() as folder:
            saved = Path(folder, CHECKPOINT).read_bytes()

    # Ray waits in each report for all processes.
    def save(content, logs):
        if index > 0:
            return report(logs)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, CHECKPOINT).write_bytes(content)
            report(logs, checkpoint=Checkpoint.from_directory(folder))

    train(**settings, saved=saved, save=save)


servers = _common.find_kafka(arguments)
_common.require_topic(arguments, servers, arguments.topic)
storage = arguments.storage or str(arguments.artifacts / "ray")
if "://" not in storage:
    storage = str(Path(storage).resolve())
ray.init()
try:
    result = JaxTrainer(
        in_each_process,
        train_loop_config={
            "servers": servers,
            "configuration": arguments.command_config,
            "topic": arguments.topic,
            "batch_size": arguments.batch_size,
            "epochs": arguments.epochs,
            "seed": arguments.seed,
        },
        scaling_config=ScalingConfig(num_workers=arguments.processes),
        run_config=RunConfig(
            name=arguments.topic,
            storage_path=storage,
            failure_config=FailureConfig(max_failures=arguments.failures),
            checkpoint_config=CheckpointConfig(num_to_keep=KEPT),
        ),
    ).fit()
finally:
    ray.shutdown()
print(f"Trained: {result.metrics}; {result.checkpoint.path}/{CHECKPOINT}")
