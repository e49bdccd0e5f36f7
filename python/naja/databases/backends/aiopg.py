"""PostgreSQL, as aiopg has it."""

from ._absent import AbsentBackend, sized


class AiopgBackend(AbsentBackend):
    _kind = "PostgreSQL"

    def _get_connection_kwargs(self) -> dict:
        return sized(self._database_url.options, self._options, {"min_size": "minsize", "max_size": "maxsize"})
