"""Compiles the native library into the wheel, for hatchling; without a compiler the wheel is pure.

In the environment, TFKAFKA_WHEEL has a platform's name in a wheel and zig's name of it, for example
manylinux_2_17_x86_64=x86_64-linux-gnu.2.17. Without it, TFKAFKA_NATIVE=0 makes the wheel pure.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = "tfkafka/native/libtfkafka_native.so"


class NativeHook(BuildHookInterface):
    """Add the native library to the wheel."""

    def dependencies(self) -> list[str]:
        """Return zig where it is needed: build backends then install it."""
        if _is_unwanted() or (not _platform() and self._compiler_works()):
            return []
        lines = Path(self.root, "requirements-native.txt").read_text().splitlines()
        return [line for line in lines if line.startswith("ziglang==")]

    def initialize(self, version: str, build_data: dict) -> None:
        self._folder = tempfile.TemporaryDirectory()
        if version == "editable" or _is_unwanted():
            return
        build = self._build()
        platform, _, target = _platform().partition("=")
        library = Path(self._folder.name, Path(LIBRARY).name)
        try:
            compiler = build.build(library, target or None)
        except (build.NoCompilerError, build.SourcesError) as error:
            if platform:
                raise
            self.app.display_warning(f"The wheel has no native library: {error}")
            return
        self.app.display_info(f"Compiled the native library with {compiler}")
        build_data["force_include"][str(library)] = LIBRARY
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform or _this_platform()}"

    def finalize(self, version: str, build_data: dict, artifact_path: str) -> None:
        self._folder.cleanup()

    def _build(self):
        # The compile step is a module of the package.
        sys.path.insert(0, self.root)
        from tfkafka.native import build

        return build

    def _compiler_works(self) -> bool:
        build = self._build()
        with tempfile.TemporaryDirectory() as folder:
            try:
                build.find_compiler(Path(folder))
            except build.NoCompilerError:
                return False
        return True


def _platform() -> str:
    return os.environ.get("TFKAFKA_WHEEL", "")


def _is_unwanted() -> bool:
    return not _platform() and os.environ.get("TFKAFKA_NATIVE") == "0"


def _this_platform() -> str:
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
