"""Record how tfkafka behaves in scripted scenarios, or compare it with what was recorded.

python -m tests.histories --out FILE [--only NAME ...] [--servers HOST:PORT]
python -m tests.histories --compare tests/histories/recorded.json [--filler native]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import warnings
from pathlib import Path

# Before anything imports TensorFlow: no noise, and no GPU.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
PRODUCT = "tfkafka"
FILLERS = {"python": "0", "native": "1"}
# Sources of several datasets wait for Kafka in this pool at the same time; of two processors it
# would have two threads.
TENSORFLOW_THREADS = 32


def main() -> int:
    """Play the scenarios; return the exit status."""
    options = _options()
    if options.filler is not None:
        _choose(options.filler)
    logging.getLogger(PRODUCT).setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    # A shell may have started this deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import tensorflow as tf

    tf.config.threading.set_inter_op_parallelism_threads(TENSORFLOW_THREADS)
    import tests.histories.scenarios  # noqa: F401
    from tests.histories import play
    from tests.histories.registry import SCENARIOS

    chosen = options.only or [*SCENARIOS]
    if unknown := set(chosen) - {*SCENARIOS}:
        raise SystemExit(
            f"no scenario {', '.join(sorted(unknown))}; there are: {' '.join(SCENARIOS)}"
        )
    outcomes = play.play([SCENARIOS[name] for name in chosen], options.servers, options.version)
    if options.compare is None:
        return _record(outcomes, options.out)
    return _compare(outcomes, json.loads(options.compare.read_text()), whole=not options.only)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.histories", description=__doc__.split("\n")[0]
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="file to record to")
    what.add_argument("--compare", type=Path, metavar="FILE", help="with what was recorded there")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these scenarios; default: all")
    parser.add_argument("--filler", choices=FILLERS, help="of the readers; default: tfkafka's")
    kafka = parser.add_mutually_exclusive_group()
    kafka.add_argument("--servers", metavar="HOST:PORT", help="of a running broker")
    kafka.add_argument("--kafka-version", dest="version", default="3.9.2", help="to start")
    return parser.parse_args()


def _choose(filler: str) -> None:
    """Let readers use this filler, or exit where there is none."""
    os.environ["TFKAFKA_NATIVE"] = FILLERS[filler]
    from tfkafka import native_status

    status = native_status()
    if status.filler != (filler == "native"):
        raise SystemExit(f"the filler cannot be {filler}: {status.filler_reason}")
    print(status, file=sys.stderr)


def _record(outcomes, path: Path) -> int:
    """Write the histories, sorted by name; those of other scenarios in the file are kept."""
    former = json.loads(path.read_text()) if path.exists() else {}
    histories = {one.name: one.history for one in outcomes if one.failure is None}
    path.write_text(json.dumps(dict(sorted({**former, **histories}.items())), indent=1) + "\n")
    failures = [one for one in outcomes if one.failure is not None]
    for one in failures:
        print(f"not recorded: {one.name}: {one.failure}")
    print(f"{len(histories)} histories in {path}")
    return 1 if failures else 0


def _compare(outcomes, recorded: dict, whole: bool) -> int:
    from tests.histories.history import first_difference
    from tests.histories.registry import SCENARIOS

    verdicts = {}
    for one in outcomes:
        if one.failure is not None:
            verdicts[one.name] = one.failure
        elif one.name not in recorded:
            verdicts[one.name] = "was never recorded"
        else:
            order = SCENARIOS[one.name].order
            verdicts[one.name] = first_difference(recorded[one.name], one.history, order)
    for name in recorded if whole else ():
        verdicts.setdefault(name, "there is no such scenario any more")
    for name, verdict in sorted(verdicts.items()):
        print(
            f"{'same' if verdict is None else 'differs':8} {name}"
            f"{'' if verdict is None else ': ' + verdict}"
        )
    different = sum(verdict is not None for verdict in verdicts.values())
    print(f"{len(verdicts) - different} the same, {different} different")
    return 1 if different else 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # A scenario that hangs must not keep the process.
    os._exit(status)
