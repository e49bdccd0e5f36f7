"""Makes only what has changed of a test file anew, between the runs of `naja test --watch`.

pytest rewrites the assertions of a test file in Python and then compiles it, which takes longer for one large file than all
that follows. A function or class of a module means the same whatever stands around it, so that its code is that of the
run before where its text is the same to the letter; it moves with its first line. Start at `Shelf.serve`.
"""

import ast
import functools
import marshal
import os
import struct
import sys
import tempfile
import types
import warnings

# So much is kept, in bytes; then all is made anew once.
_MOST = 1 << 26
_HEAD = struct.Struct("<QQ")
# From here on a class holds the number of its first line, as does what is around it.
_CLASS_KNOWS_LINE = sys.version_info >= (3, 13)
_PARTS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Shelf:
    """The code of the functions and classes of test files, in a file without a name that all runs share."""

    def __init__(self):
        self._file = tempfile.TemporaryFile()

    def serve(self):
        """Has pytest use it in this process, where its own function is as expected."""
        module = sys.modules.get("_pytest.assertion.rewrite")
        original = getattr(module, "_rewrite_test", None)
        if sys.implementation.name != "cpython" or not hasattr(types.CodeType, "replace"):
            return
        if original is not None and hasattr(module, "rewrite_asserts") and not hasattr(original, "__wrapped__"):
            module._rewrite_test = functools.wraps(original)(
                lambda path, config: self._rewrite(module.rewrite_asserts, path, config) or original(path, config)
            )

    def _rewrite(self, rewrite_asserts, path, config):
        """The file's state and its code, as pytest's own function gives them; `None` where that has to do it."""
        if config.getini("enable_assertion_pass_hook"):
            return None  # the code then holds numbers of lines
        name = str(path)
        try:
            stat, source = os.stat(name), path.read_bytes()
            # What warns must do so every time.
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                tree = ast.parse(source, filename=name)
                parts = list(_parts(tree, source))
                known = self._known(name)
                kept = _leave_out(parts, known)
                rewrite_asserts(tree, source, name, config)
                code = compile(tree, name, "exec", dont_inherit=True)
            if warned:
                return None
            code, made = _put_together(code, parts, kept)
        except Exception:
            return None
        self._keep(name, made)
        return stat, code

    def _known(self, name):
        """What is kept of a file: texts, with the first line and the code of each."""
        wanted, at, found = os.fsencode(name), 0, None
        descriptor = self._file.fileno()
        while True:
            head = os.pread(descriptor, _HEAD.size, at)
            if len(head) < _HEAD.size:
                break
            named, size = _HEAD.unpack(head)
            if os.pread(descriptor, named, at + _HEAD.size) == wanted:
                found = (at + _HEAD.size + named, size)
            at += _HEAD.size + named + size
        if found is None:
            return {}
        data = os.pread(descriptor, found[1], found[0])
        return marshal.loads(data) if len(data) == found[1] else {}

    def _keep(self, name, made):
        named, data = os.fsencode(name), marshal.dumps(made)
        descriptor = self._file.fileno()
        if os.fstat(descriptor).st_size > _MOST:
            os.ftruncate(descriptor, 0)
        at = os.fstat(descriptor).st_size
        try:
            whole = _HEAD.pack(len(named), len(data)) + named + data
            if os.pwrite(descriptor, whole, at) != len(whole):
                os.ftruncate(descriptor, at)
        except OSError:  # a full disk
            os.ftruncate(descriptor, at)


def _parts(tree, source):
    """The functions and classes of a module, each with its text and its first line."""
    lines = source.splitlines(keepends=True)
    if len(lines) != source.count(b"\n") + (not source.endswith(b"\n") and bool(source)):
        return  # what else ends a line, Python counts differently
    # What is written for the future changes the meaning of all that follows.
    future = repr([
        alias.name for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__" for alias in node.names
    ]).encode()  # fmt: skip
    for node in tree.body:
        if isinstance(node, _PARTS) and not getattr(node, "type_params", None):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            text = b"".join(lines[first - 1 : node.end_lineno])
            yield node, future + text, first


def _leave_out(parts, known):
    """Empties the parts that are known; the code of each, by its name and first line."""
    kept = {}
    for node, text, first in parts:
        found = known.get(text)
        if found is None:
            continue
        before, code = found
        if before != first and _CLASS_KNOWS_LINE and b"class" in text:
            continue
        last = node.body[-1]
        node.body = [ast.copy_location(ast.Pass(), last)]
        kept[node.name, first] = _moved(code, first - before)
    return kept


def _moved(code, lines):
    """Code that stands some lines further down; its table of lines counts from the first one."""
    if not lines:
        return code
    consts = tuple(_moved(one, lines) if isinstance(one, types.CodeType) else one for one in code.co_consts)
    return code.replace(co_firstlineno=code.co_firstlineno + lines, co_consts=consts)


def _put_together(code, parts, kept):
    """The module's code with what was left out, and the code of all its parts by their texts."""
    consts, own = list(code.co_consts), {}
    for index, one in enumerate(consts):
        if isinstance(one, types.CodeType):
            place = one.co_name, one.co_firstlineno
            if place in kept:
                one = consts[index] = kept.pop(place)
            own[place] = one
    if kept:
        raise LookupError("a part is not where it should be")
    made = {text: (first, own[node.name, first]) for node, text, first in parts if (node.name, first) in own}
    return code.replace(co_consts=tuple(consts)), made
