"""`naja.typesystem`: what its own suite does not ask, and random schemas and values beside typesystem 0.4.1."""

import copy
import dataclasses
import datetime
import decimal
import enum
import gc
import os
import pathlib
import pickle
import subprocess
import sys
import threading
import typing
import weakref

import pytest
from originals import importable

import naja.typesystem as typesystem
from naja.typesystem import composites, fields, formats

ORIGINAL = ["typesystem==0.4.1", "pyyaml==6.0.4"]
PAIRS = pathlib.Path(__file__).with_name("typesystem_pairs.py")
SEED = 20181231


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A folder with the original, and with the YAML that both read."""
    folder = tmp_path_factory.mktemp("typesystem")
    with importable(folder, *ORIGINAL, forget={"yaml", "_yaml"}):
        yield folder


@pytest.mark.parametrize("kind, count", [("fields", 250), ("json", 600), ("yaml", 300)])
def test_random_ones_have_the_originals_answers(original, kind, count):
    environment = {**os.environ, "PYTHONPATH": str(original)}
    command = [sys.executable, str(PAIRS), kind, str(SEED), str(count)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"seed {SEED}: {done.stderr[-3000:]}"
    assert int(done.stdout) >= count


def codes(field, value):
    """The codes and the places of what is wrong."""
    error = field.validate_or_error(value).error
    return [] if error is None else [(message.code, message.index) for message in error.messages()]


def test_an_attribute_that_is_set_counts_at_once():
    name = typesystem.String(max_length=3)
    person = typesystem.Schema({"name": name})
    assert codes(person, {"name": "abcd"}) == [("max_length", ["name"])]
    name.max_length = 4
    assert codes(person, {"name": "abcd"}) == []
    name.default = "x"
    person.required.remove("name")
    assert person.validate({}) == {"name": "x"}
    del name.default
    assert person.validate({}) == {}


def test_what_is_changed_in_place_counts_at_once():
    choice = typesystem.Choice(choices=["a"])
    person = typesystem.Schema({"kind": choice})
    either = choice | typesystem.Integer()
    assert codes(person, {"kind": "b"}) == [("choice", ["kind"])]
    choice.choices.append(("b", "B"))
    person.fields["age"] = typesystem.Integer(default=1)
    either.any_of.append(typesystem.Boolean())
    assert person.validate({"kind": "b"}) == {"kind": "b", "age": 1}
    assert either.validate(True) is True


def test_an_alternative_changes_neither_of_its_parts():
    either = typesystem.String() | typesystem.Integer()
    assert len((either | typesystem.Boolean()).any_of) == 3
    assert len(either.any_of) == 2


def test_a_format_of_ones_own_is_asked():
    class Phone(formats.BaseFormat):
        errors = {"format": "Must be a phone number."}

        def is_native_type(self, value):
            return isinstance(value, tuple)

        def validate(self, value):
            if not value.startswith("+"):
                raise self.validation_error("format")
            return tuple(value[1:].split(" "))

    number = typesystem.String(format="phone")
    assert number.validate("47 1") == "47 1"
    fields.FORMATS["phone"] = Phone()
    try:
        assert number.validate("+47 1") == ("47", "1")
        assert number.validate(("47",)) == ("47",)
        assert codes(typesystem.Array(number), ["47 1"]) == [("format", [0])]
    finally:
        del fields.FORMATS["phone"]


def test_methods_of_a_subclass_are_asked_wherever_it_stands():
    class Even(typesystem.Integer):
        errors = {**typesystem.Integer.errors, "even": "Must be even, not {word}."}
        word = "odd"

        def validate(self, value):
            value = super().validate(value)
            if value % 2:
                raise typesystem.ValidationError(text="odd", code="even", key="here")
            return value // 2

    even = Even(maximum=10)
    assert typesystem.Array(even).validate(["4", 6.0]) == [2, 3]
    assert codes(typesystem.Schema({"n": typesystem.Array(even)}), {"n": [3, 12]}) == [
        ("even", ["n", 0, "here"]),
        ("maximum", ["n", 1]),
    ]
    even.validate = lambda value: "mine"
    assert typesystem.Array(even).validate([None]) == ["mine"]


def test_a_class_can_be_borrowed_for_its_validation():
    assert fields.String.validate(typesystem.Text(max_length=2), " ab ") == "ab"
    with pytest.raises(AttributeError):
        fields.String.validate(typesystem.Integer(), "x")


def test_errors_results_and_fields_can_be_copied_and_pickled():
    person = typesystem.Schema({"name": typesystem.String(max_length=3), "age": typesystem.Integer(default=1)})
    result = person.validate_or_error({"name": "abcd"})
    for same in (copy.copy(person), copy.deepcopy(person), pickle.loads(pickle.dumps(person))):
        assert same.validate({"name": "abc"}) == {"name": "abc", "age": 1}
    again = pickle.loads(pickle.dumps(result))
    assert again.error == result.error and again.value is None
    assert repr(again) == repr(result)
    with pytest.raises(typesystem.ValidationError) as caught:
        person.validate({})
    assert dict(caught.value) == {"name": "This field is required."}
    assert list(caught.value.items()) == [("name", "This field is required.")]
    assert caught.value.get("age", 5) == 5 and "name" in caught.value


def test_texts_that_stand_in_each_others_way_are_both_kept():
    class Both(typesystem.Field):
        def validate(self, value):
            messages = [typesystem.Message(text="one"), typesystem.Message(text="two", index=["inner"])]
            raise typesystem.ValidationError(messages=messages)

    error = typesystem.Schema({"a": Both()}).validate_or_error({"a": 1}).error
    assert dict(error) == {"a": {"": "one", "inner": "two"}}


def test_schemas_that_refer_to_themselves_are_collected():
    definitions = typesystem.Definitions()
    node = typesystem.Schema({"next": typesystem.Reference("Node", definitions=definitions, allow_null=True)})
    definitions["Node"] = node
    assert node.validate({"next": {"next": None}}) == {"next": {"next": None}}
    gone = weakref.ref(node)
    del node, definitions
    gc.collect()
    assert gone() is None
    lists = typesystem.Array()
    lists.items = lists
    assert lists.validate([[], [[]]]) == [[], [[]]]
    gone = weakref.ref(lists)
    del lists
    gc.collect()
    assert gone() is None


def nested(levels, inside, key=None):
    for _ in range(levels):
        inside = [inside] if key is None else {key: inside}
    return inside


def test_values_without_end_are_refused():
    definitions = typesystem.Definitions()
    definitions["List"] = typesystem.Array(typesystem.Reference("List", definitions=definitions))
    definitions["Node"] = typesystem.Schema({"next": typesystem.Reference("Node", definitions=definitions)})
    definitions["Itself"] = typesystem.Reference("Itself", definitions=definitions)
    endless: list = []
    endless.append(endless)
    caught = []

    def refuse():
        for field, value in (
            (definitions["List"], nested(100_000, [])),
            (definitions["List"], endless),
            (definitions["Node"], nested(100_000, None, "next")),
            (definitions["Itself"], 1),
            (typesystem.Array(unique_items=True), [endless]),
            (typesystem.Choice(choices=[("a", "A")]), endless),
            (composites.Not(definitions["List"]), endless),
        ):
            with pytest.raises(RecursionError, match="nested too deeply"):
                field.validate(value)
            caught.append(field)

    # A small stack is as safe as a large one.
    before = threading.stack_size(1 << 20)
    try:
        thread = threading.Thread(target=refuse)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert len(caught) == 7
    assert definitions["List"].validate(nested(100, [])) == nested(100, [])


def test_json_may_be_as_deep_as_memory_lasts():
    text = "[" * 200_000 + "]" * 200_000
    token = typesystem.tokenize_json(text)
    assert (token.start.char_index, token.end.char_index) == (0, len(text) - 1)
    with pytest.raises(RecursionError):
        token.value
    assert type(typesystem.validate_json(text, typesystem.Any())) is list
    with pytest.raises(typesystem.ParseError) as caught:
        typesystem.tokenize_json("[" * 200_000)
    assert caught.value.messages()[0].start_position.char_index == 200_000


@pytest.mark.parametrize("text", ["1e999999999", "9" * 400, "Infinity", "-1e99999999"])
def test_numbers_beyond_every_float_are_not_finite(text):
    for field in (typesystem.Integer(), typesystem.Float(), typesystem.Decimal(), typesystem.Number()):
        assert codes(field, text) == [("finite", [])]
    assert codes(typesystem.Integer(), 10**400) == [("finite", [])]
    assert codes(typesystem.Decimal(), decimal.Decimal("sNaN")) == [("finite", [])]


def test_digits_beyond_what_python_reads_are_a_parse_error():
    with pytest.raises(typesystem.ParseError) as caught:
        typesystem.tokenize_json("[1, " + "9" * 5000 + "]")
    assert caught.value.messages()[0].start_position == typesystem.Position(1, 5, 4)


def test_halves_of_pairs_are_characters_like_others():
    assert typesystem.String(max_length=2).validate(" \ud800x ") == "\ud800x"
    assert codes(typesystem.Date(), "\ud800") == [("format", [])]
    token = typesystem.tokenize_json('{"\ud800": "\\ud801"}')
    assert token.value == {"\ud800": "\ud801"}
    assert token.lookup(["\ud800"]).start.char_index == 6


def test_a_value_that_changes_while_it_is_checked_is_an_error_of_pythons():
    class Grows(typesystem.Field):
        def validate(self, value):
            person.fields[str(len(person.fields))] = typesystem.Any()

    person = typesystem.Schema({"a": Grows(), "b": typesystem.Any()})
    with pytest.raises(RuntimeError, match="changed size"):
        person.validate({"a": 1, "b": 2})


def test_every_message_has_its_place():
    person = typesystem.Schema({"name": typesystem.String(), "age": typesystem.Integer(), "tags": typesystem.Array(typesystem.String())})
    text = '{\n  "tags": ["a", 1],\n  "age": "é"\n}'
    with pytest.raises(typesystem.ValidationError) as caught:
        typesystem.validate_json(text, person)
    assert [(one.index, one.start_position.line_no, one.start_position.column_no) for one in caught.value.messages()] == [
        (["name"], 1, 1),
        (["tags", 1], 2, 17),
        (["age"], 3, 10),
    ]
    assert caught.value.messages()[0].text == "The field 'name' is required."
    assert caught.value.messages()[0].end_position.char_index == len(text) - 1


def test_threads_share_a_schema():
    limit = typesystem.Integer(maximum=500)
    shared = typesystem.Array(limit)
    wrong = []

    def work(offset):
        for number in range(offset, offset + 500):
            if codes(shared, [number]) != ([] if number <= 500 else [("maximum", [0])]):
                wrong.append(number)
            # What was read of the field is dropped under the others' feet.
            limit.maximum = 500

    threads = [threading.Thread(target=work, args=(offset,)) for offset in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Artist:
    name: typing.Annotated[str, typesystem.String(max_length=10)]
    born: datetime.date | None = None


@dataclasses.dataclass
class Album:
    title: str
    artist: Artist
    colour: Colour
    kind: typing.Literal["lp", "single"]
    label: str | None
    tracks: list[str] = dataclasses.field(default_factory=list)
    similar: "list[Album]" = dataclasses.field(default_factory=list)


def test_checked_values_can_be_objects_of_a_class():
    artist = typesystem.Schema({"name": typesystem.String(), "born": typesystem.Date(allow_null=True)}, into=Artist)
    album = typesystem.Schema({"artist": artist})
    assert album.validate({"artist": {"name": " Low "}}) == {"artist": Artist("Low")}
    assert album.serialize({"artist": Artist("Low", datetime.date(1993, 1, 1))}) == {
        "artist": {"name": "Low", "born": "1993-01-01"}
    }


def test_a_dataclass_has_its_schema():
    schema = typesystem.schema_of(Album)
    data = {"title": "Double Negative", "artist": {"name": "Low"}, "colour": "red", "kind": "lp", "label": None}
    album = schema.validate(data | {"similar": [data | {"tracks": ["Quorum"]}]})
    assert album.artist == Artist("Low") and album.colour is Colour.RED and album.tracks == []
    assert album.similar[0].tracks == ["Quorum"]
    assert schema.serialize(album)["artist"] == {"name": "Low", "born": None}
    assert schema.serialize(album)["similar"][0]["colour"] == "red"
    assert codes(schema, {"artist": {"name": "x" * 11}, "colour": "green", "kind": "ep"}) == [
        ("required", ["title"]),
        ("required", ["label"]),
        ("max_length", ["artist", "name"]),
        ("choice", ["colour"]),
        ("choice", ["kind"]),
    ]


def test_a_class_that_no_field_is_for_is_named():
    @dataclasses.dataclass
    class Odd:
        what: complex

    with pytest.raises(TypeError, match="complex"):
        typesystem.schema_of(Odd)
    with pytest.raises(TypeError, match="no dataclass"):
        typesystem.schema_of(int)
