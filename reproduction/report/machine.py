"""The machine that something was measured on: what it is, and what its host took from it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
CPU_INFO = Path("/proc/cpuinfo")
STAT = Path("/proc/stat")
STOLEN = 8  # place in the cpu line of /proc/stat, see proc(5)


def describe() -> dict[str, Any]:
    """CPU, cores, memory, system, versions of all direct dependencies, and the git commit."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "commit": _commit(),
        "versions": {"Python": platform.python_version(), **_versions()},
    }


def stolen_seconds() -> float:
    """CPU seconds, of all cores since boot, in which the host ran something else; 0 if unknown."""
    try:
        ticks = int(STAT.read_text().split("\n", 1)[0].split()[STOLEN])
    except (OSError, IndexError, ValueError):
        return 0.0
    return ticks / os.sysconf("SC_CLK_TCK")


def version_of(package: str) -> str:
    """Of an installed package; "not installed" for another."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", CPU_INFO.read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or "unknown"


def _versions() -> dict[str, str]:
    """Of what requirements*.txt name, as far as it is installed."""
    texts = [path.read_text() for path in sorted(ROOT.glob("requirements*.txt"), reverse=True)]
    names = dict.fromkeys(re.findall(r"^([\w-]+)==", "".join(texts), re.MULTILINE))
    return {name: version_of(name) for name in names}


def _commit() -> str:
    """Hash of the commit, and whether files differ from it; "unknown" outside a git checkout."""
    try:
        commit = git("rev-parse", "HEAD")
        return commit + (", with changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def git(*arguments: str) -> str:
    """Return what git says of this checkout. Raises OSError or SubprocessError where it cannot."""
    command = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()
