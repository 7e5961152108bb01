"""One record: an app profile on its way to the service."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from airflow_imiconnect.attributes import RecordProblem, kind_of, number_to_string, to_strings
from airflow_imiconnect.attributes.numbers import NumberTooLongError
from airflow_imiconnect.attributes.texts import NULL_WORDS, trimmed, unfit
from airflow_imiconnect.attributes.values import is_missing, plain_value

CUSTOMER_ID = "customerId"
ATTRIBUTES = "Attributes"
# Contract 3: every example writes customerId and Attributes, the prose customerid and attributes. Both are accepted.
SPELLINGS = {
    "customerId": CUSTOMER_ID,
    "customerid": CUSTOMER_ID,
    "customer_id": CUSTOMER_ID,
    "Attributes": ATTRIBUTES,
    "attributes": ATTRIBUTES,
}
Note: TypeAlias = "Callable[[str], None]"

# An id that a table calculation or a data frame took for a number.
_SPOILED = re.compile(r"-?\d+\.0+|-?\d+([.,]\d+)?[eE]\+?\d+")
_TRIMMED = "customerId: blanks or invisible characters around it are left out"
_ODD_IDS = (
    (_SPOILED, "customerId is written as 1001.0 or 8.9E+10: another program took it for a number; it is sent as it is"),
    (re.compile(r"'.*"), "customerId begins with an apostrophe, and is sent with it"),
    (re.compile(r".*\s.*", re.DOTALL), "customerId holds a blank: is it a title or a footer? It is sent"),
)


class AppProfile(BaseModel):
    """
    One record: a person in one app (contract 4).

    :param customer_id: the client's own key for the person; ``customerId`` on the wire
    :param attributes: a mapping of names to text, numbers, booleans or dates, or one of the channel models
    :raises pydantic.ValidationError: the record can never be valid; the text contains no values

    ``repr`` shows the customer and the number of attributes, never a value.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True, hide_input_in_errors=True)

    customer_id: str = Field(alias="customerId")
    attributes: dict[str, str] = Field(alias="Attributes")

    @model_validator(mode="before")
    @classmethod
    def _check(cls, data: object) -> dict[str, object]:
        return to_wire(*read_record(data))

    @classmethod
    def from_record(cls, record: object, *, strict: bool = False) -> AppProfile:
        """
        Check a raw record from a file or an upstream task.

        :param record: ``{"customerId": …, "Attributes": {…}}`` in either spelling, or an AppProfile
        :param strict: also check the attributes that the channel requires
        :raises RecordProblem: names the invalid field and the reason
        """
        if isinstance(record, cls) and not strict:
            return record
        customer_id, attributes = read_record(record, strict=strict)
        return cls.model_construct(customer_id=customer_id, attributes=attributes)

    def to_wire(self) -> dict[str, object]:
        """Return the record in the spelling of the vendor's examples."""
        return to_wire(self.customer_id, self.attributes)

    def __repr__(self) -> str:
        return f"AppProfile(customer_id={self.customer_id!r}, {len(self.attributes)} attributes)"

    __str__ = __repr__


def to_wire(customer_id: str, attributes: Mapping[str, str]) -> dict[str, object]:
    """Return a record in the spelling of the vendor's examples (contract 3)."""
    return {CUSTOMER_ID: customer_id, ATTRIBUTES: attributes}


def read_record(
    record: object, *, strict: bool = False, is_plain: bool = False, note: Note | None = None
) -> tuple[str, dict[str, str]]:
    """
    Return the customerId and the attributes of a raw record, as they are sent.

    :param record: ``{"customerId": …, "Attributes": {…}}`` in either spelling, or an AppProfile
    :param strict: also check the attributes that the channel requires
    :param is_plain: whether all names and values are known to be strings without forbidden characters
    :param note: is handed what is odd about a record that can be sent all the same
    :raises RecordProblem: names the invalid field and the reason
    """
    try:
        fields = record if type(record) is dict and record.keys() == _FIELDS else _fields(record)
        customer_id = _customer_id(fields.get(CUSTOMER_ID), note)
        if ATTRIBUTES not in fields:
            raise RecordProblem(ATTRIBUTES, "is missing")  # noqa: TRY301 - a call costs time
        try:
            attributes = to_strings(fields[ATTRIBUTES], strict=strict, is_plain=is_plain)
        except RecordProblem as problem:
            name = f"{ATTRIBUTES}.{problem.name}" if problem.name else ATTRIBUTES
            raise RecordProblem(name, problem.reason) from None
        if note is not None and not NULL_WORDS.isdisjoint(attributes.values()):
            _note_null_words(attributes, note)
        return customer_id, attributes  # noqa: TRY300 - as above
    except RecordProblem:
        raise
    except Exception:  # noqa: BLE001 - a user's mapping or value may raise anything
        raise RecordProblem(None, f"is a {type(record).__name__} that cannot be read") from None


_FIELDS = {CUSTOMER_ID, ATTRIBUTES}


def _fields(record: object) -> dict[str, object]:
    """Return the fields of a record, in the spelling of the examples."""
    if isinstance(record, AppProfile):
        record = record.to_wire()
    if not isinstance(record, Mapping):
        raise RecordProblem(None, f"a record must be an object, not {kind_of(record)}")
    fields: dict[str, object] = {}
    for key, value in record.items():
        field = SPELLINGS.get(key)
        if field is None:
            raise RecordProblem(
                str(key), "is not a field of a record, only customerId and Attributes are; put it inside Attributes"
            )
        if field in fields:
            raise RecordProblem(field, "is given twice, in two spellings")
        fields[field] = value
    return fields


def _note_null_words(attributes: Mapping[str, str], note: Note) -> None:
    for name, value in attributes.items():
        if value in NULL_WORDS:
            note(f"{name} holds a word for a missing value, such as NULL, which is sent; null_values leaves it out")


def _customer_id(value: object, note: Note | None = None) -> str:
    if type(value) is str and value.isalnum() and value.isascii() and value not in NULL_WORDS:  # nearly all are
        return value
    text = trimmed(_id_text(plain_value(value)) or "")
    if not text:
        raise RecordProblem(CUSTOMER_ID, "is missing or empty")
    if text in NULL_WORDS:
        raise RecordProblem(CUSTOMER_ID, "is a word for a missing value, such as NULL or nan")
    if reason := unfit(text):
        raise RecordProblem(CUSTOMER_ID, reason)
    if note is not None and isinstance(value, str):
        _note_odd_id(value, text, note)
    return text


def _note_odd_id(value: str, text: str, note: Note) -> None:
    if text != value:
        note(_TRIMMED)
    for pattern, kind in _ODD_IDS:
        if pattern.fullmatch(text):
            note(kind)
            return


def _id_text(value: object) -> str | None:
    """Return an id as text, or None if it is missing."""
    if isinstance(value, str):
        return value
    if is_missing(value):
        return None
    if isinstance(value, UUID):
        return str(value)
    try:
        text = None if isinstance(value, bool) else number_to_string(value)
    except NumberTooLongError as error:
        raise RecordProblem(CUSTOMER_ID, str(error)) from None
    if text is None:
        raise RecordProblem(CUSTOMER_ID, f"is {kind_of(value)}: it must be a text or a number")
    return text
