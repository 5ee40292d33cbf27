"""How large every container is that can be reached from an object, by the path that leads to it."""

import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType, ModuleType

import numpy as np

SIZED = (dict, list, tuple, set, frozenset, deque, OrderedDict, defaultdict)
LEAVES = (str, int, float, bool, type(None), type, ModuleType, np.generic)
OUR_PACKAGES = ("actors", "cli", "core", "models", "storage", "venues")


def sizes(roots: Mapping[str, object]) -> dict[str, int]:
    """Return elements by path, summed over whatever is alike: `[*]` is any element, `()` a function's closure.

    Bytes and arrays count their bytes. Each object counts once, on the path that is found first.
    """
    found: Counter[str] = Counter()
    seen: set[int] = set()
    todo = [(path, root) for path, root in reversed(list(roots.items()))]
    while todo:
        path, value = todo.pop()
        if isinstance(value, LEAVES) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, bytes | bytearray):
            found[f"{path} bytes"] += len(value)
        elif isinstance(value, np.ndarray):
            found[f"{path} array"] += value.nbytes
        else:
            if isinstance(value, SIZED):
                found[path] += len(value)
            todo.extend(_below(path, value))
    return dict(found)


def module_roots() -> dict[str, object]:
    """Return the variables of this project's loaded modules, where caches may hide."""
    return {
        f"{name}.{variable}": value
        for name, module in sys.modules.items()
        if name.split(".", 1)[0] in OUR_PACKAGES
        for variable, value in vars(module).items()
        if isinstance(value, SIZED) or type(value).__module__.split(".", 1)[0] in OUR_PACKAGES
    }


def _below(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, element in value.items():
            yield f"{path}[*]", element
            yield f"{path}[key]", key
    elif isinstance(value, SIZED):
        for element in value:
            yield f"{path}[*]", element
    elif isinstance(value, FunctionType):
        for cell in value.__closure__ or ():
            yield f"{path}()", cell.cell_contents
    elif isinstance(value, MethodType):
        yield path, value.__self__
    else:
        for name, element in _attributes(value):
            yield f"{path}.{name}", element


def _attributes(value: object) -> Iterator[tuple[str, object]]:
    yield from getattr(value, "__dict__", {}).items()
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot not in ("__dict__", "__weakref__") and hasattr(value, slot):
                yield slot, getattr(value, slot)
    for slot in getattr(value, "__struct_fields__", ()):
        yield slot, getattr(value, slot)
