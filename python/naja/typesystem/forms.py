"""Forms of HTML for schemas, through jinja2 where it is installed."""

from __future__ import annotations

try:
    import jinja2
    import markupsafe
except ImportError:
    jinja2 = None  # type: ignore[assignment]

import typing

from .fields import Boolean, Choice, Field, Object, String
from .schemas import Schema


class Form:
    """The fields of a schema with values and errors; `str()` of it is HTML."""

    # Formats that are types of `<input>` of the same name, and two that are not.
    FORMAT_TO_INPUTTYPE = {
        name: name
        for name in (
            "color date email hidden month number password range search tel text time url week".split()
        )
    } | {"datetime": "datetime-local"}

    def __init__(
        self,
        *,
        env: jinja2.Environment,
        schema: Schema,
        values: dict[str, typing.Any] | None = None,
    ) -> None:
        self.env = env
        self.schema = schema
        self.values = self.schema.serialize(values)
        self.errors: typing.Any = None
        self._validate_called = False

    def validate(self, data: dict | None = None) -> None:
        """Checks what a browser sent. It can be called once."""
        assert not self._validate_called, "validate() has already been called."
        self.data = data
        self.values, self.errors = self.schema.validate_or_error(data)
        self._validate_called = True

    @property
    def is_valid(self) -> bool:
        """Whether what was sent has no errors."""
        assert self._validate_called, "validate() has not been called."
        return self.errors is None

    @property
    def validated_data(self) -> typing.Any:
        """The checked values."""
        return self.values

    def render_fields(self) -> str:
        """The HTML of all fields that a person may fill in."""
        values = self.data if self.errors else self.values
        html = []
        for name, field in self.schema.fields.items():
            if not field.read_only:
                value = None if values is None else values.get(name)
                error = None if self.errors is None else self.errors.get(name)
                html.append(self.render_field(field_name=name, field=field, value=value, error=error))
        return "".join(html)

    def render_field(
        self, *, field_name: str, field: Field, value: typing.Any = None, error: str | None = None
    ) -> str:
        """The HTML of one field."""
        input_type = self.input_type_for_field(field)
        may_be_empty = field.allow_null or getattr(field, "allow_blank", False)
        return self.env.get_template(self.template_for_field(field)).render(
            field_id=field_name.replace("_", "-"),
            field_name=field_name,
            field=field,
            label=field.title or field_name,
            required=not field.has_default() and not may_be_empty,
            input_type=input_type,
            # A password that was sent is never sent back.
            value="" if input_type == "password" else value,
            error=error,
        )

    def template_for_field(self, field: Field) -> str:
        """The name of the template for a field."""
        assert not isinstance(field, Object), "Forms do not support rendering Object fields"
        if isinstance(field, Choice):
            return "forms/select.html"
        if isinstance(field, Boolean):
            return "forms/checkbox.html"
        if isinstance(field, String) and field.format == "text":
            return "forms/textarea.html"
        return "forms/input.html"

    def input_type_for_field(self, field: Field) -> str:
        """The type of the `<input>` for a field."""
        return self.FORMAT_TO_INPUTTYPE.get(getattr(field, "format", None) or "text", "text")

    def __str__(self) -> str:
        return self.render_fields()

    def __html__(self) -> markupsafe.Markup:
        return markupsafe.Markup(self.render_fields())


class Jinja2Forms:
    """Makes forms with the templates of a folder, of a package, or of both, the folder first."""

    def __init__(self, *, directory: str | None = None, package: str | None = None) -> None:
        assert jinja2 is not None, "jinja2 must be installed to use Jinja2Forms."
        assert directory is not None or package is not None, "Either 'directory' or 'package' must be specified."
        self.env = self.load_template_env(directory=directory, package=package)

    def load_template_env(
        self, *, directory: str | None = None, package: str | None = None
    ) -> jinja2.Environment:
        """Where templates come from."""
        loaders: list[jinja2.BaseLoader] = []
        if directory is not None:
            loaders.append(jinja2.FileSystemLoader(directory))
        if package is not None:
            # The original's own templates are this package's.
            own = (__package__ or "") if package == "typesystem" else package
            loaders.append(jinja2.PackageLoader(own, "templates"))
        loader = loaders[0] if len(loaders) == 1 else jinja2.ChoiceLoader(loaders)
        return jinja2.Environment(loader=loader, autoescape=True)

    def create_form(self, schema: Schema, values: dict[str, typing.Any] | None = None) -> Form:
        """The form of a schema, with what its fields hold at first."""
        return Form(env=self.env, schema=schema, values=values)
