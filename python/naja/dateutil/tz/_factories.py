"""Classes whose instances are the same object where they mean the same zone.

Only a metaclass can give back an instance that exists without calling ``__init__`` on it again, and only Python can
say that; the zones themselves are Rust.
"""

import _thread
import weakref
from collections import OrderedDict


class _TzSingleton(type):
    """There is one instance."""

    def __init__(cls, *args, **kwargs):
        cls.__instance = None
        super().__init__(*args, **kwargs)

    def __call__(cls):
        if cls.__instance is None:
            cls.__instance = super().__call__()
        return cls.__instance


class _TzFactory(type):
    """There is one instance for the same arguments, as long as anyone has it; the last few are always had."""

    _kept_size = 8

    def __init__(cls, *args, **kwargs):
        super().__init__(*args, **kwargs)
        cls.__instances = weakref.WeakValueDictionary()
        cls.__kept = OrderedDict()
        cls.__lock = _thread.allocate_lock()

    def instance(cls, *args, **kwargs):
        """A new instance."""
        return type.__call__(cls, *args, **kwargs)

    def _shared(cls, key, *args):
        instance = cls.__instances.get(key)
        if instance is None:
            instance = cls.__instances.setdefault(key, cls.instance(*args))
        # Two threads may both drop the oldest: it must still be there for the second.
        with cls.__lock:
            cls.__kept[key] = cls.__kept.pop(key, instance)
            if len(cls.__kept) > cls._kept_size:
                cls.__kept.popitem(last=False)
        return instance


class _TzOffsetFactory(_TzFactory):
    def __call__(cls, name, offset):
        try:
            key = (name, offset.total_seconds())
        except AttributeError:
            key = (name, offset)
        return cls._shared(key, name, offset)


class _TzStrFactory(_TzFactory):
    def __call__(cls, s, posix_offset=False):
        return cls._shared((s, posix_offset), s, posix_offset)
