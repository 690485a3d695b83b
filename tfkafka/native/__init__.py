"""The native library: its functions, or why there are none.

It is optional: whatever it does, Python does as well, slower, and with the same results.
"""

from __future__ import annotations

import ctypes
import functools
import os

from tfkafka.native import sources

ABI = 6
VARIABLE = "TFKAFKA_NATIVE"
_REASON_BYTES = 512
PATH = sources.LIBRARY
_BUILD = "make native, or python -m tfkafka.native.build, compiles it"
_P, _I32, _I64 = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64
# The result and the arguments of each function of tfkafka_native.h.
_FUNCTIONS: dict[str, tuple[object, list[object]]] = {
    "tk_gather": (None, [_P, _P, _P, _I64]),
    "tk_join_numbers": (None, [_P, _P, _P, _P, _P, _I64, _I64, _P, _P]),
    "tk_find_librdkafka": (_I32, [ctypes.c_char_p, ctypes.c_char_p, _I32]),
    "tk_take_new_client": (_P, []),
    "tk_open": (_P, [_P]),
    "tk_close": (None, [_P]),
    "tk_forward": (_I32, [_P, ctypes.c_char_p, _I32]),
    "tk_fill": (None, [_P, _P, _I32, _I32]),
    "tk_produce": (None, [_P, ctypes.c_char_p, _P]),
    "tk_take_failures": (None, [_P, _P]),
    "tk_parse_csv": (_I64, [_P, _P, _P, _P, _I64, _I64, _P]),
    "tk_parse_json": (_I64, [_P, _P, _P, _P, _I64, _I64, _P, _P, _P]),
    "tk_find_values": (None, [_P, _P, _P, _P, _I64, _I64, _I64, _P, _P, _P]),
    "tk_find_classes": (None, [_P, _P, _P, _P, _I64, _I64, _P]),
}


def library() -> ctypes.CDLL | None:
    """Return the library; None where it is missing, cannot be loaded, or is not wanted."""
    return _load()[0]


def for_clients(librdkafka: str) -> ctypes.CDLL | None:
    """Return the library where it can use confluent-kafka's clients; None otherwise.

    Args:
        librdkafka: the path of a library through which librdkafka's functions are found.
    """
    return _for_clients(librdkafka)[0]


def why_not() -> str:
    """Return why `library` returns None, "" where it returns the library."""
    return _load()[1]


def why_not_for_clients(librdkafka: str) -> str:
    """Return why `for_clients` returns None, "" where it returns the library."""
    return _for_clients(librdkafka)[1]


@functools.cache
def _load() -> tuple[ctypes.CDLL | None, str]:
    """Return the library, or why there is none."""
    if os.environ.get(VARIABLE) == "0":
        return None, f"{VARIABLE}=0"
    if not PATH.exists():
        return None, f"there is no {PATH}{_how_to_build()}"
    try:
        if not sources.is_current(PATH):
            return None, f"{PATH} is of other sources{_how_to_build()}"
        loaded = ctypes.CDLL(str(PATH))
        if loaded.tk_abi() != ABI:
            return None, f"{PATH} is of another version of tfkafka"
        for name, (result, parameters) in _FUNCTIONS.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, parameters
    except (OSError, AttributeError) as error:
        return None, f"{PATH} cannot be loaded: {str(error).removeprefix(f'{PATH}: ')}"
    return loaded, ""


def _how_to_build() -> str:
    return f" ({_BUILD})" if sources.digest() else ""


@functools.cache
def _for_clients(librdkafka: str) -> tuple[ctypes.CDLL | None, str]:
    """Return the library after it has found librdkafka, or why it cannot use clients."""
    loaded, why = _load()
    if loaded is None:
        return None, why
    if ";" in str(PATH) or not _is_text(str(PATH)):
        return None, f"librdkafka cannot have a plugin with the path {str(PATH)!r}"
    reason = ctypes.create_string_buffer(_REASON_BYTES)
    if loaded.tk_find_librdkafka(os.fsencode(librdkafka), reason, _REASON_BYTES) < 0:
        return None, reason.value.decode(errors="replace")
    return loaded, ""


def _is_text(path: str) -> bool:
    """Return whether a path is UTF-8, as confluent-kafka passes settings."""
    return not any("\ud800" <= each <= "\udfff" for each in path)
