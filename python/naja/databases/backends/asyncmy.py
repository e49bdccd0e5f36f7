"""MySQL and MariaDB, as asyncmy has them."""

from ._absent import AbsentBackend, sized

_NUMBERS = {"min_size": "minsize", "max_size": "maxsize", "pool_recycle": "pool_recycle"}


class AsyncMyBackend(AbsentBackend):
    _kind = "MySQL"

    def _get_connection_kwargs(self) -> dict:
        return sized(self._database_url.options, self._options, _NUMBERS, ("unix_socket",))
