"""
The operations of the Profile API, a row each (contract 3).

A new operation is a new row here; how it is batched, sent, recorded, polled and reported follows from the row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

import msgspec

MAX_RECORDS = 100  # a request, contract 3: above it the service answers 7012 and does nothing


class Record(Protocol):
    """A record that has been checked: what an operation needs of it."""

    @property
    def customer_id(self) -> str:
        """The client's own key for the person."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """The attributes, all of them strings."""


class Payload(NamedTuple):
    """What a request carries besides its path; ``query`` begins with its question mark."""

    body: bytes | None = None
    query: str = ""


class Operation(NamedTuple):
    """
    A kind of write.

    :param name: the word for it in results, XCom and messages
    :param method: the HTTP method
    :param path: behind the base path, with ``{app_id}``
    :param encode: turns the records of a request into its payload
    :param done: what a record is counted as that is now as asked, because of this operation
    :param already_so: the code by which the service says that a record was as asked before
    :param already: what such a record is counted as
    """

    name: str
    method: str
    path: str
    encode: Callable[[Iterable[Record]], Payload]
    done: str
    already_so: str
    already: str


def records_envelope(records: Iterable[Record]) -> Payload:
    """Return the envelope ``{"Records": [...]}`` in the spelling of the vendor's examples, as ASCII JSON."""
    envelope = {"Records": [{"customerId": record.customer_id, "Attributes": record.attributes} for record in records]}
    try:
        body = msgspec.json.encode(envelope)
    except UnicodeEncodeError:  # an unpaired surrogate, which only JSON's escapes can write
        body = b"\xff"
    # Other characters are escaped: they are read alike, whatever charset the service assumes.
    return Payload(body if body.isascii() else json.dumps(envelope, separators=(",", ":")).encode("ascii"))


CREATE = Operation(
    name="create",
    method="POST",
    path="/customerappprofile/{app_id}",
    encode=records_envelope,
    done="created",
    already_so="7015",
    already="existing",
)

OPERATIONS: Mapping[str, Operation] = {operation.name: operation for operation in (CREATE,)}
