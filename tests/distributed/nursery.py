"""A process that has imported what takes longest, and forks others that run something.

It reads a line of JSON for each order, and answers with one:
{"run": module or path, "arguments": [...], "output": path} -> the number of a new process;
{"poll": number} -> its exit status, negative for a signal's number, or null while it runs.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from typing import Any

# Not their threads, which a fork would lose: those start when they are used.
import jax  # noqa: F401
import keras  # noqa: F401

import tfkafka.online  # noqa: F401


def start(order: dict[str, Any]) -> int:
    """Return the number of a new process; does not return in that."""
    sys.stdout.flush()
    if number := os.fork():
        return number
    with open(order["output"], "wb") as output, open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.argv[1:] = order["arguments"]
    if order["run"].endswith(".py"):
        runpy.run_path(order["run"], run_name="__main__")
    else:
        runpy.run_module(order["run"], run_name="__main__", alter_sys=True)
    sys.exit()


def poll(number: int) -> int | None:
    found, status = os.waitpid(number, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        answer = poll(order["poll"]) if "poll" in order else start(order)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
