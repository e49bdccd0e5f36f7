"""PostgreSQL, as asyncpg has it."""

from ._absent import AbsentBackend


class PostgresBackend(AbsentBackend):
    _kind = "PostgreSQL"

    def _get_connection_kwargs(self) -> dict:
        url_options = self._database_url.options
        words: dict = {name: int(url_options[name]) for name in ("min_size", "max_size") if name in url_options}
        if "ssl" in url_options:
            ssl = url_options["ssl"].lower()
            # Other words, as `verify-full`, are the driver's.
            words["ssl"] = {"true": True, "false": False}.get(ssl, ssl)
        return {**words, **self._options}
