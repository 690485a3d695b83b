"""Run a command in several processes of this machine, and all of them again when one dies.

    python examples/launch/local.py --processes 2 -- python examples/distributed_training.py

Each process finds in its environment what Kubeflow's runtime for JAX sets as well: JAX_PROCESS_ID,
from 0, JAX_NUM_PROCESSES, and JAX_COORDINATOR_ADDRESS, where process 0 may listen. Training cannot
go on without one of its processes: the others are ended, and all begin again from their checkpoint.

Ctrl-C, SIGTERM and SIGHUP are passed on. A process that has not ended some seconds later is killed:
JAX handles SIGTERM itself, and one that waits for another in JAX hears no signal. Nothing is left
running, unless this itself is killed.
"""

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

POLL_S = 0.1

received = []


def main():
    options = parse()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: received.append(number))
    for restart in range(options.restarts + 1):
        death = run(options)
        if received:
            sys.exit(128 + received[0])
        if death is None:
            return
        if restart < options.restarts:
            say(f"{death}: starting all again (restart {restart + 1} of {options.restarts})")
    sys.exit(f"local.py: {death}: not started again")


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.error = lambda reason: parser.exit(2, f"local.py: {reason} (see --help)\n")
    parser.add_argument("--processes", type=number_from(1), required=True)
    parser.add_argument(
        "--restarts", type=number_from(0), default=3, help="of all processes, at most; default: 3"
    )
    parser.add_argument(
        "--grace",
        type=number_from(0),
        default=10,
        help="seconds after which a process that does not end is killed; default: 10",
    )
    parser.add_argument("command", nargs="+", help="after --")
    return parser.parse_args()


def number_from(low):
    def parse(text):
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {low}: {text}")
        return int(text)

    return parse


def run(options):
    """Run all processes to their end. Return how the first one died; None where none did."""
    processes = []
    try:
        coordinator = f"127.0.0.1:{free_port()}"
        for index in range(options.processes):
            processes.append(start(options, index, coordinator))
        while not received:
            statuses = [process.poll() for process in processes]
            for index, status in enumerate(statuses):
                if status:
                    return f"process {index} of {options.processes} {told(status)}"
            if None not in statuses:
                return None
            time.sleep(POLL_S)
    finally:
        end(processes, received[0] if received else signal.SIGTERM, options.grace)


def start(options, index, coordinator):
    environment = os.environ | {
        "JAX_PROCESS_ID": str(index),
        "JAX_NUM_PROCESSES": str(options.processes),
        "JAX_COORDINATOR_ADDRESS": coordinator,
        # Otherwise process 0 listens on all addresses of the machine.
        "JAX_COORDINATOR_BIND_ADDRESS": coordinator,
    }
    # In a group of its own, a terminal's Ctrl-C comes once, from here, and with it go all processes
    # that the command has started.
    try:
        return subprocess.Popen(options.command, env=environment, start_new_session=True)
    except OSError as error:
        sys.exit(f"local.py: {options.command[0]}: cannot be started: {error.strerror}")


def end(processes, number, grace):
    """End what is still running: by a signal, and after `grace` seconds by SIGKILL."""
    for process in processes:
        if process.poll() is None:
            send(process, number)
    deadline = time.monotonic() + grace
    for index, process in enumerate(processes):
        try:
            process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            say(f"process {index} has not ended in {grace} s: killed")
        # Also where it has ended: what it started may not have.
        send(process, signal.SIGKILL)
        process.wait()


def send(process, number):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def told(status):
    if status > 0:
        return f"ended with status {status}"
    return f"was ended by {signal.Signals(-status).name}"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def say(line):
    with contextlib.suppress(OSError):  # nobody may read it any more
        print(f"local.py: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
