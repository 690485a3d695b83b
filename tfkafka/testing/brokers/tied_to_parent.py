"""Run a command that the kernel kills when its parent dies: PARENT_PID COMMAND [ARGUMENT ...].

This is a separate program, with the standard library alone, because `preexec_fn` is not safe in a
process with threads. It works on Linux only; elsewhere the command just runs.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the process that wanted this command has ended")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
