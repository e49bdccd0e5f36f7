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
        cls._instances = weakref.WeakValueDictionary()
        cls._kept = OrderedDict()
        cls._lock = _thread.allocate_lock()

    def instance(cls, *args, **kwargs):
        """A new instance."""
        return type.__call__(cls, *args, **kwargs)

    def _keep(cls, key, instance):
        """Makes ``instance`` the last that is dropped."""
        # Two threads may both drop the oldest: it must still be there for the second.
        with cls._lock:
            kept = cls._kept
            kept[key] = kept.pop(key, instance)
            if len(kept) > cls._kept_size:
                kept.popitem(last=False)
        return instance


class _TzOffsetFactory(_TzFactory):
    def __call__(cls, name, offset):
        try:
            key = (name, offset.total_seconds())
        except AttributeError:
            key = (name, offset)
        instance = cls._instances.get(key)
        if instance is None:
            instance = cls._instances.setdefault(key, cls.instance(name, offset))
        return cls._keep(key, instance)


class _TzStrFactory(_TzFactory):
    def __call__(cls, s, posix_offset=False):
        key = (s, posix_offset)
        instance = cls._instances.get(key)
        if instance is None:
            instance = cls._instances.setdefault(key, cls.instance(s, posix_offset))
        return cls._keep(key, instance)
