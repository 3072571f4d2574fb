"""Three short digests that say whether two tasks are the same.

A run that is resumed must go on with the task it was started with. To the code of a task belong:

- the source of its functions and classes, written out again without comments and layout, so that
  a comment is not a change; code without source (a lambda, a cell of an old session) counts by
  its bytecode and constants, which differ between versions of Python;
- defaults, closures, attributes of classes, and every global that the code reads, as they are
  when the digest is made: your own functions and classes in turn, numbers and strings, arrays and
  tensors by dtype, shape and bytes, lists, tuples, dicts (in their order), sets, partials and
  bound methods by what is in them, instances of your own classes by class and attributes, and
  `own_module.name` by what it names;
- of installed packages, Python and flnb: functions, classes and modules by their names, modules
  of a network and other callables by their attributes, dataclasses by their fields, values that
  can be compared (a path, a date) by their `repr`, and other objects by their type alone.

What is imported inside a function counts by its name. Nothing here depends on where an object
lies in memory, nor on the hash seed.
"""

from __future__ import annotations

import ast
import contextlib
import dis
import functools
import hashlib
import inspect
import sys
import textwrap
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from types import (
    CodeType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any

import numpy as np

from flnb.datasets import FederatedData

_DIGITS = 16
_CONSTANTS = (int, float, complex, str, bytes, bool, type(None), type(...))
_LOADS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Digests of the parts of a task, 16 hex digits each."""

    code: str
    """Model, loss and metrics."""
    data: str
    """Every example, held-out ones included, and who holds which."""
    layout: str
    """Names, shapes and dtypes of the model's tensors."""

    def differs(self, other: Fingerprint) -> dict[str, tuple[str, str]]:
        """Name what is different: part to (this, other); empty when they are the same."""
        pairs = {
            part.name: (getattr(self, part.name), getattr(other, part.name))
            for part in fields(self)
        }
        return {name: (was, now) for name, (was, now) in pairs.items() if was != now}


def digest_code(*parts: Any) -> str:
    """Digest functions, classes and plain values, and what they use of your own code."""
    digests = _Digests()
    return _digest(digests.of(part, root=True) for part in parts)[:_DIGITS]


def digest_data(data: FederatedData) -> str:
    """Digest all examples and the split; about 2 GB a second."""
    hasher = hashlib.sha256(data.split.hash.encode())
    for arrays in (data.train, data.test):
        for array in (arrays.x, arrays.y) if arrays else ():
            hasher.update(f"{array.dtype.str}{array.shape}".encode())
            hasher.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    if data.test_ids is not None:
        hasher.update("\0".join(map(str, data.test_ids)).encode())
    return hasher.hexdigest()[:_DIGITS]


class _Digests:
    """A digest for each object by what is in it, made once; one that holds itself comes to an end.

    `root` is written out wherever it is from.
    """

    def __init__(self) -> None:
        # Objects are kept, so that no later one gets the id of an earlier one.
        self._done: dict[tuple[int, bool], tuple[Any, str]] = {}
        self._open: dict[tuple[int, bool], int] = {}

    def of(self, part: Any, *, root: bool = False) -> str:
        if isinstance(part, _CONSTANTS):
            return repr(part)
        key = (id(part), root)
        if key in self._done:
            return self._done[key][1]
        if key in self._open:
            return f"{len(self._open) - self._open[key]} up"
        self._open[key] = len(self._open)
        digest = _digest(self._texts(part, root=root))
        del self._open[key]
        self._done[key] = (part, digest)
        return digest

    def _texts(self, part: Any, *, root: bool) -> Iterator[str]:
        yield f"{type(part).__module__}.{type(part).__qualname__}"
        if isinstance(part, type | FunctionType):
            yield f"{part.__module__}.{part.__qualname__}"
            if root or _is_own(part.__module__):
                yield from self._class(part) if isinstance(part, type) else self._function(part)
        elif isinstance(part, ModuleType):
            yield part.__name__
        elif isinstance(part, set | frozenset):
            yield from sorted(map(self.of, part))
        else:
            for piece in _pieces(part):
                yield self.of(piece, root=root and callable(piece))
        if not isinstance(part, type) and _is_own(type(part).__module__):
            yield self.of(type(part))
            yield from map(self.of, _state(part))

    def _class(self, part: type) -> Iterator[str]:
        yield from map(self.of, part.__bases__)
        source = _source(part)
        yield source
        for name, member in sorted(vars(part).items()):
            plain = getattr(member, "fget", None) or getattr(member, "__func__", member)
            plain = plain.func if isinstance(plain, functools.cached_property) else plain
            if isinstance(plain, FunctionType):
                # The source of the class holds its methods; what they use is followed all the same.
                yield from self._function(inspect.unwrap(plain), written=bool(source))
            elif not name.startswith("__"):
                yield f"{name} = {self.of(plain)}"

    def _function(self, part: FunctionType, *, written: bool = False) -> Iterator[str]:
        if not written:
            yield _source(part) or "\n".join(_bytecode(part.__code__))
        yield from map(self.of, (part.__defaults__, part.__kwdefaults__))
        enclosed = {}
        for name, cell in zip(part.__code__.co_freevars, part.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # empty: `__class__` while a class is being made
                enclosed[name] = cell.cell_contents
        attributes = _names(part.__code__)
        yield from self._used(enclosed, set(enclosed), attributes, set())
        scope = part.__globals__
        if not _is_own(scope.get("__name__", "")):  # a wrapper of an installed package's making
            kinds = (type, FunctionType, *_CONSTANTS)
            scope = {name: value for name, value in scope.items() if isinstance(value, kinds)}
        yield from self._used(scope, _global_names(part.__code__), attributes, set())

    def _used(
        self, scope: Mapping[str, Any], names: set[str], attributes: set[str], seen: set[str]
    ) -> Iterator[str]:
        """Write out what code finds under its names, and in your own modules among it."""
        for name in sorted(names & scope.keys()):
            value = scope[name]
            yield f"{name} = {self.of(value)}"
            if isinstance(value, ModuleType) and value.__name__ not in seen:
                seen.add(value.__name__)
                if _is_own(value.__name__):
                    yield from self._used(vars(value), attributes, attributes, seen)


def _digest(texts: Iterable[str]) -> str:
    hasher = hashlib.sha256()
    for text in texts:
        # With its length, so that no two lists of texts run together to the same bytes.
        hasher.update(f"{len(text)}:{text}".encode("utf-8", "backslashreplace"))
    return hasher.hexdigest()


def _pieces(part: Any) -> Iterable[Any]:
    """Take an object apart that is neither code nor a set."""
    if isinstance(part, list | tuple | deque):
        return part
    if isinstance(part, dict | MappingProxyType):
        return [piece for item in part.items() for piece in item]
    if isinstance(part, functools.partial):
        return part.func, part.args, dict(sorted(part.keywords.items()))
    if inspect.ismethod(part):
        return part.__func__, part.__self__
    if hasattr(part, "__array__"):  # of NumPy, or a tensor of torch
        return _array(part)
    if _is_own(type(part).__module__):
        return ()
    return _foreign(part)


def _foreign(part: Any) -> Iterable[Any]:
    kind = type(part)
    if is_dataclass(part) or isinstance(part, SimpleNamespace):
        return _state(part)
    if isinstance(part, Enum) or type(part).__qualname__ == "dtype":
        return (repr(part),)
    if all(getattr(kind, name) is not getattr(object, name) for name in ("__eq__", "__repr__")):
        text = repr(part)
        return () if " at 0x" in text else (text,)
    if callable(part):
        name = getattr(part, "__qualname__", getattr(part, "__name__", ""))
        return getattr(part, "__module__", ""), name, *_state(part)
    return ()


def _array(part: Any) -> Iterable[Any]:
    torch = sys.modules.get("torch")  # a tensor is there only if torch is; nothing else needs it
    if torch is not None and isinstance(part, torch.Tensor):
        described = (str(part.dtype), str(tuple(part.shape)))
        if part.is_meta:
            return described
        dense = part.detach().cpu().to_dense() if part.is_sparse else part.detach().cpu()
        flat = dense.resolve_conj().resolve_neg().contiguous().reshape(-1)
        return *described, hashlib.sha256(flat.view(torch.uint8).numpy().data).hexdigest()
    array = np.asarray(part)
    described = (str(array.dtype), str(array.shape))
    # The bytes of an array of objects are addresses.
    data = array.tolist() if array.dtype.hasobject else hashlib.sha256(array.tobytes()).hexdigest()
    return *described, data


def _state(part: Any) -> list[Any]:
    """List the attributes of an instance, by name."""
    slots = [
        (name, getattr(part, name))
        for kind in type(part).__mro__
        for name, member in vars(kind).items()
        if isinstance(member, MemberDescriptorType) and hasattr(part, name)
    ]
    held = [*getattr(part, "__dict__", {}).items(), *slots]
    return [piece for item in sorted(held, key=lambda item: str(item[0])) for piece in item]


def _source(part: Any) -> str:
    """Source without comments and layout; "" where there is none of its own (a lambda)."""
    if getattr(part, "__name__", "") == "<lambda>":
        return ""
    try:
        return ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(part))))
    except (OSError, TypeError, SyntaxError):
        return ""


def _bytecode(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_argcount))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _bytecode(constant)
        elif isinstance(constant, frozenset):
            yield repr(sorted(constant, key=repr))
        else:
            yield repr(constant)


def _names(code: CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _global_names(code: CodeType) -> set[str]:
    """Names that code looks up outside of itself, attributes left out."""
    looked_up = {step.argval for step in dis.get_instructions(code) if step.opname in _LOADS}
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return looked_up.union(*map(_global_names, inner))


@functools.cache
def _is_own(module: str) -> bool:
    """Whether a module is the user's: neither Python's, nor installed, nor flnb's own."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names and top != "__main__":
        return False
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return top != "flnb" and not any(part in file for part in ("site-packages", "dist-packages"))
