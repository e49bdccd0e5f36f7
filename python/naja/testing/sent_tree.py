"""The files of a project, as they are sent to another host: which, by which hash, and where they then lie.

Only what differs is sent. The other end is `_receive_tree` in `worker.py`. Start at `list_tree` and `Places`.
"""

import fnmatch
import os
import stat

from .worker import content_hash

# What is made anew on every machine, or is nobody's business there. Hidden files stay, but for those that say how
# coverage measures.
_NEVER = ("__pycache__", "*.pyc", "*.pyo", "*~", "node_modules", "*.naja-part")
_HIDDEN_BUT_SENT = (".coveragerc",)


def list_tree(root, ignored=()):
    """The files below `root` by their paths with `/`: ("file", hash, mode) or ("link", target, 0).

    `ignored` are patterns of names or of whole paths. Virtual environments are left out. Cost: every file is read.
    """
    entries = {}
    for folder, names, files in os.walk(root):
        links = [name for name in names if os.path.islink(os.path.join(folder, name))]
        names[:] = sorted(name for name in names if name not in links and _is_sent(folder, name, ignored))
        names[:] = [name for name in names if not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))]
        for name in sorted(files) + links:
            path = os.path.join(folder, name)
            if not _is_sent(folder, name, ignored):
                continue
            entry = _entry(root, path)
            if entry is not None:
                entries[os.path.relpath(path, root).replace(os.sep, "/")] = entry
    return entries


def _is_sent(folder, name, ignored):
    if name.startswith(".") and name not in _HIDDEN_BUT_SENT:
        return False
    path = os.path.join(folder, name)
    return not any(fnmatch.fnmatch(name, one) or fnmatch.fnmatch(path, one) for one in (*_NEVER, *ignored))


def _entry(root, path):
    if os.path.islink(path):
        target = os.readlink(path)
        inside = os.path.relpath(os.path.realpath(path), os.path.realpath(root))
        if not os.path.isabs(target) and not inside.startswith(os.pardir):
            return ("link", target, 0)
    try:
        status = os.stat(path)
        # A pipe or a socket is not a file of a project; a link to a folder elsewhere is not followed.
        if not stat.S_ISREG(status.st_mode):
            return None
        return ("file", content_hash(path), stat.S_IMODE(status.st_mode))
    except OSError:  # gone meanwhile, or not to be read
        return None


class Places:
    """Where a worker finds what it is told of: its folder, its arguments, and what its tests are called here.

    `roots` are the folders that are sent; each lies under its own name in the folder where the worker begins. An
    argument is a text, or ("--rootdir=", "project/tests", "") for a path below the folder where the worker begins.
    """

    def __init__(self, config, roots, moves=False):
        self._config, self._roots, self._moves = config, [os.path.realpath(str(root)) for root in roots], moves
        self._start = os.path.realpath(str(config.invocation_params.dir))
        self.folder = self._place(self._start)
        rootdir = os.path.realpath(str(config.rootpath))
        self.prefixes = [
            ("" if root == rootdir else os.path.relpath(root, rootdir).replace(os.sep, "/"), os.path.basename(root))
            for root in self._roots
        ]
        self.arguments = [self._argument(str(one)) for one in config.invocation_params.args]
        source = getattr(config, "args_source", None)
        if (moves or self._roots) and self.folder is None and getattr(source, "name", "ARGS") != "ARGS":
            # Nothing was named, so that pytest took its folder or the settings' `testpaths`: those of here.
            self.arguments += [self._argument(os.path.join(self._start, str(one))) for one in config.args]
        if self._place(rootdir) is not None:
            self.arguments.insert(0, ("--rootdir=", self._place(rootdir), ""))
        elif moves and not self._roots:
            self.arguments.insert(0, f"--rootdir={rootdir}")

    def _place(self, path):
        """The path below where the worker begins; `None` for what is not sent."""
        for root in self._roots:
            relative = os.path.relpath(path, root)
            if not relative.startswith(os.pardir):
                return os.path.normpath(os.path.join(os.path.basename(root), relative)).replace(os.sep, "/")
        return None

    def _argument(self, text):
        head, separator, rest = text.partition("::")
        option = ""
        if head.startswith("-"):
            option, equals, head = head.partition("=")
            option += equals
        if not head or (not self._moves and not self._roots):
            return text
        # Where the worker begins in the same folder of the tree, relative paths, and words that look like one, hold.
        if not os.path.isabs(head) and self.folder is not None:
            return text
        path = os.path.join(self._start, head)
        try:
            if not os.path.exists(path):
                return text
        except ValueError:
            return text
        place = self._place(os.path.realpath(path))
        if place is None:
            return option + os.path.realpath(path) + separator + rest
        return (option, place, separator + rest)
