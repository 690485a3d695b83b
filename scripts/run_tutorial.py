"""The whole tutorial: run the scripts in order, then hold what they observed against its claims.

Starts a Kafka of its own in the artifacts folder (data of an earlier run are deleted) and stops
it at the end, also after an error and after Ctrl-C. Writes the report. Exits with 1 if a script
fails, or if a claim does not hold that is not known to be false.
"""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import _common

arguments = _common.parse(
    __doc__,
    "--kafka-version",
    "--port",
    "--zookeeper-port",
    "--reader",
    "--rows",
    "--epochs",
    "--susy",
    "--seed",
    "--verbose",
    reports={"type": Path, "default": _common.ROOT / "reports", "help": "folder of the report"},
)

from reproduction.claims import format_verdicts, judge
from reproduction.observe import note, observations_path, read_observations
from reproduction.report import machine
from reproduction.report.write import write_report
from tfkafka.config import COMMAND_CONFIG_VARIABLE
from tfkafka.testing.claims import FAILS

LATE_ROWS = 100


def flags(*names: str) -> list[str]:
    """The named flags, with the values that were given to this script."""
    values = {name: getattr(arguments, name.replace("-", "_")) for name in names}
    return [
        word
        for name, value in values.items()
        if value is not None
        for word in (f"--{name}", str(value))
    ]


verbose = ["--verbose"] if arguments.verbose else []
STEPS = [
    ("01_check_environment.py", [*flags("reader"), *verbose]),
    ("02_start_kafka.py", ["--fresh", *flags("kafka-version", "port", "zookeeper-port")]),
    ("03_create_topics.py", []),
    ("04_load_susy.py", flags("susy", "rows", "seed")),
    ("05_write_to_kafka.py", flags("seed")),
    ("06_train.py", [*flags("reader", "seed", "epochs"), *verbose]),
    ("07_evaluate.py", [*flags("reader"), *verbose]),
    # The same group again: it has read everything.
    ("07_evaluate.py", [*flags("reader"), *verbose]),
    ("08_describe_group.py", []),
    ("09_train_online.py", [*flags("reader", "seed"), "--late-rows", str(LATE_ROWS), *verbose]),
    ("10_predict.py", [*flags("reader"), *verbose]),
]


# Its Kafka is its own, which needs no settings of clients.
environment = {k: v for k, v in os.environ.items() if k != COMMAND_CONFIG_VARIABLE}


def run(script: str, options: list[str]) -> int:
    """Run one script, say how long it took, return its exit status."""
    print(f"\n=== {script} {' '.join(options)}", flush=True)
    start = time.monotonic()
    path = Path(__file__).with_name(script)
    command = [sys.executable, str(path), *options, "--artifacts", str(arguments.artifacts)]
    process = subprocess.Popen(command, env=environment)
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.wait()  # it got the same Ctrl-C, and cleans up
        raise
    print(f"=== {script}: {time.monotonic() - start:.1f} s", flush=True)
    return status


observations = observations_path(arguments.artifacts, arguments.reader)
for former in (observations, observations_path(arguments.artifacts)):
    former.unlink(missing_ok=True)
failed = None
start, stolen = time.time(), machine.stolen_seconds()
try:
    for script, options in STEPS:
        if run(script, options):
            failed = script
            break
finally:
    run("11_stop_kafka.py", [])

# As one would type it, where it is this folder's own.
inside = Path(sys.executable).is_relative_to(_common.ROOT)
python = str(Path(sys.executable).relative_to(_common.ROOT)) if inside else "python"
observed = {
    "run.started": time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(start)),
    "run.seconds": round(time.time() - start),
    "run.stolen_s": round(machine.stolen_seconds() - stolen, 1),
    "run.failed": failed,
    "run.command": shlex.join([python, "scripts/run_tutorial.py", *sys.argv[1:]]),
}
note(arguments, observed)
verdicts = judge(read_observations(observations))
print("\n" + format_verdicts(verdicts))
print("\n" + write_report(arguments.artifacts, arguments.reports))
if failed:
    sys.exit(f"run_tutorial.py: {failed} failed; its error is above")
if wrong := [verdict.claim.id for verdict in verdicts if verdict.status == FAILS]:
    sys.exit(f"run_tutorial.py: claims that do not hold: {', '.join(wrong)}")
