"""Which tests go together: units for the work queue, by the names that `--dist` has had since xdist."""

from .worker import group_name

MODES = ("each", "load", "loadscope", "loadfile", "loadgroup", "worksteal", "no")

# A worker takes about this part of what would be its share of the rest at a time: large at first, so that fixtures of
# a module are set up in few workers; single tests at last, so that all workers end together.
_PARTS = 6
_LARGEST = 40


def units(items, mode, workers, seconds=None, reorder=True):
    """Lists of indices of `items` that one worker runs one after the other, in the order of their taking.

    `seconds` are the expected durations of the items, `None` where nothing is known; the units hold each index once.
    """
    if mode in ("loadscope", "loadfile", "loadgroup"):
        return _groups(items, mode, reorder)
    if mode == "each":
        return [list(range(len(items)))]
    return _chunks(len(items), workers, seconds)


def _groups(items, mode, reorder):
    found = {}
    for index, item in enumerate(items):
        if mode == "loadfile":
            key = item.nodeid.split("::", 1)[0]
        elif mode == "loadscope":
            key = item.nodeid.split("[", 1)[0].rsplit("::", 1)[0]
        else:
            key = group_name(item)
            key = index if key is None else key
        found.setdefault(key, []).append(index)
    groups = list(found.values())
    if reorder and mode != "loadgroup":
        groups.sort(key=len, reverse=True)
    elif mode == "loadgroup":
        groups.sort(key=lambda group: len(group) == 1)
    return groups


def _chunks(count, workers, seconds):
    """Runs of neighbours, ever shorter; tests that are known to be long come first, each by itself."""
    long = set()
    if seconds:
        # A test of this length, begun last, would keep one worker busy while the others have ended.
        limit = sum(seconds) / (workers * 8)
        long = {index for index in range(count) if seconds[index] > limit}
    first = [[index] for index in sorted(long, key=lambda index: -seconds[index])]
    rest = [index for index in range(count) if index not in long]
    chunks, begin = [], 0
    while begin < len(rest):
        size = max(1, min(_LARGEST, (len(rest) - begin) // (workers * _PARTS)))
        chunks.append(rest[begin : begin + size])
        begin += size
    return first + chunks
