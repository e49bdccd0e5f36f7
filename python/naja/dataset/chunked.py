"""Rows that are stored or changed in groups: with a block of `with`, or by hand and `flush`."""


class InvalidCallbackError(ValueError):
    """What should be called before each group cannot be called."""


class _Chunker:
    def __init__(self, table, chunksize, callback):
        if callback and not callable(callback):
            raise InvalidCallbackError(f"a callback can be called, and {callback!r} cannot")
        self.queue = []
        self.table = table
        self.chunksize = chunksize
        self.callback = callback

    def flush(self):
        """Stores what has come together."""
        self.queue.clear()

    def _queue_add(self, item):
        self.queue.append(dict(item))
        if len(self.queue) >= self.chunksize:
            self.flush()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        self.flush()


class ChunkedInsert(_Chunker):
    """Stores rows `chunksize` at a time; `callback` is given each group before.

        with ChunkedInsert(table) as inserter:
            inserter.insert({"name": "Ada"})
    """

    def __init__(self, table, chunksize=1000, callback=None):
        self.fields = set()
        super().__init__(table, chunksize, callback)

    def insert(self, item):
        """Adds a row."""
        self.fields.update(item.keys())
        self._queue_add(item)

    def flush(self):
        for item in self.queue:
            for field in self.fields:
                item.setdefault(field, None)
        if self.callback is not None:
            self.callback(self.queue)
        self.table.insert_many(self.queue)
        super().flush()


class ChunkedUpdate(_Chunker):
    """Changes rows `chunksize` at a time, by their `keys`; `callback` is given each group before."""

    def __init__(self, table, keys, chunksize=1000, callback=None):
        self.keys = keys
        super().__init__(table, chunksize, callback)

    def update(self, item):
        """Adds a row."""
        self._queue_add(item)

    def flush(self):
        if self.callback is not None:
            self.callback(self.queue)
        # Rows with the same names together: a name that a row lacks is not changed in it.
        groups = {}
        for item in self.queue:
            groups.setdefault(tuple(sorted(item)), []).append(item)
        for items in groups.values():
            self.table.update_many(items, self.keys)
        super().flush()
