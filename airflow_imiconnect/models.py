"""What travels: an app profile on its way to the service, and what the service says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from airflow_imiconnect.attributes import RecordProblem, kind_of, number_to_string, to_strings

CUSTOMER_ID = "customerId"
ATTRIBUTES = "Attributes"
# Contract 3: every example writes customerId and Attributes, the prose customerid and attributes. Either is taken.
SPELLINGS = {
    "customerId": CUSTOMER_ID,
    "customerid": CUSTOMER_ID,
    "customer_id": CUSTOMER_ID,
    "Attributes": ATTRIBUTES,
    "attributes": ATTRIBUTES,
}


class AppProfile(BaseModel):
    """
    One record: a person in one app (contract 4).

    :param customer_id: the client's own key for the person; ``customerId`` on the wire
    :param attributes: a mapping of names to text, numbers, booleans or dates, or one of the channel models
    :raises pydantic.ValidationError: for what can never be right; its text holds no values

    The text form names the customer and the number of attributes, never a value.
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
        Check a raw record as a file or an upstream task gave it.

        :param record: ``{"customerId": …, "Attributes": {…}}`` in either spelling, or an AppProfile
        :param strict: also ask for the attributes that the channel requires
        :raises RecordProblem: says which field is wrong and why
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


def read_record(record: object, *, strict: bool = False, is_text: bool = False) -> tuple[str, dict[str, str]]:
    """
    Return the customerId and the attributes of a raw record, as they are sent.

    :param record: ``{"customerId": …, "Attributes": {…}}`` in either spelling, or an AppProfile
    :param strict: also ask for the attributes that the channel requires
    :param is_text: whether all names and values are known to be texts
    :raises RecordProblem: says which field is wrong and why
    """
    fields = record if type(record) is dict and record.keys() == _FIELDS else _fields(record)
    customer_id = _customer_id(fields.get(CUSTOMER_ID))
    if ATTRIBUTES not in fields:
        raise RecordProblem(ATTRIBUTES, "is missing")
    try:
        return customer_id, to_strings(fields[ATTRIBUTES], strict=strict, is_text=is_text)
    except RecordProblem as problem:
        name = f"{ATTRIBUTES}.{problem.name}" if problem.name else ATTRIBUTES
        raise RecordProblem(name, problem.reason) from None


_FIELDS = {CUSTOMER_ID, ATTRIBUTES}


def _fields(record: object) -> dict[str, object]:
    """Return the fields of whatever is a record, in the spelling of the examples."""
    if isinstance(record, AppProfile):
        record = record.to_wire()
    if not isinstance(record, Mapping):
        raise RecordProblem(None, f"a record must be an object, not {kind_of(record)}")
    fields: dict[str, object] = {}
    for key, value in record.items():
        field = SPELLINGS.get(key)
        if field is None:
            raise RecordProblem(
                str(key),
                "is no part of a record: only customerId and Attributes are; put further attributes inside Attributes",
            )
        if field in fields:
            raise RecordProblem(field, "is given twice, in two spellings")
        fields[field] = value
    return fields


def _id_text(value: object) -> str | None:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        return str(value)
    return None if isinstance(value, bool) else number_to_string(value)


def _customer_id(value: object) -> str:
    try:
        text = _id_text(value)
    except (ValueError, ArithmeticError):
        text = None
    if text is None and value is not None:
        raise RecordProblem(CUSTOMER_ID, f"is {kind_of(value)}: a text or a number is wanted")
    if not text or not text.strip():
        raise RecordProblem(CUSTOMER_ID, "is missing or empty")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise RecordProblem(CUSTOMER_ID, "holds half a character, as of an emoji that was cut")
    return text


@dataclass(frozen=True)
class RecordResult:
    """
    What the service says of one record.

    :param customer_id: the record's customerId; empty where the service names none
    :param code: the service's code, ``"1000"`` for a record that was taken
    :param description: the service's words
    """

    customer_id: str
    code: str
    description: str

    @property
    def taken(self) -> bool:
        """Whether the record is queued or created, as against refused or failed (contract 6)."""
        return self.code in ("1000", "1001")


@dataclass(frozen=True)
class Receipt:
    """
    The answer to one call that submits records (contract 5).

    :param transid: the transaction to ask about; empty where the work is finished and the service gave none
    :param state: "queued", or "finished" when nothing is left to wait for
    :param results: what it says of each record, where it does
    :param other_transids: further transactions, should one call be answered with several
    """

    transid: str
    state: Literal["queued", "finished"]
    results: tuple[RecordResult, ...] = ()
    other_transids: tuple[str, ...] = ()

    @property
    def transids(self) -> tuple[str, ...]:
        """All transactions that there are to ask about."""
        return tuple(transid for transid in (self.transid, *self.other_transids) if transid)

    @property
    def refused(self) -> tuple[RecordResult, ...]:
        """The records that were not taken."""
        return failed(self.results)


@dataclass(frozen=True)
class TransactionStatus:
    """
    How far a transaction is (contract 5).

    :param transid: the transaction that was asked about
    :param state: "waiting" (7600 or QUEUED), "succeeded", or "partial": at least one record failed
    :param results: what the service says of each record, where it does
    :param unnamed_failures: how many records failed that no result names, by the code that says so
    :param total_count: the service's own count of records, for display
    :param failure_count: its count of failed ones, for display; it is wrong in the vendor's own examples
    """

    transid: str
    state: Literal["waiting", "succeeded", "partial"]
    results: tuple[RecordResult, ...] = ()
    unnamed_failures: Mapping[str, int] = field(default_factory=dict)
    total_count: int | None = None
    failure_count: int | None = None

    @property
    def failed(self) -> tuple[RecordResult, ...]:
        """The records that failed."""
        return failed(self.results)

    @property
    def records(self) -> int:
        """How many records it holds, as far as the service says."""
        return max(len(self.results) + sum(self.unnamed_failures.values()), self.total_count or 0)


def failed(results: Iterable[RecordResult]) -> tuple[RecordResult, ...]:
    """Return the results of records that were not taken."""
    return tuple(result for result in results if not result.taken)
