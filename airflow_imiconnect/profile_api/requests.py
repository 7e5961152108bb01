"""What is sent and what comes back, as values: an HTTP request without host and headers, an HTTP response."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.profile_api.operations import MAX_RECORDS, Operation, Payload, Record

BASE_PATH = "/resources/v2"
MAX_RESPONSE_BYTES = 256 * 1024  # what the service says of 100 records takes some 20 KB


@dataclass(frozen=True)
class Request:
    """
    One HTTP request.

    :param method: "GET", "POST" ...
    :param target: path and query; begins with ``/resources/v2``
    :param subject: what it is about, for messages: ``create for app a_1`` or ``status of 5f1c…``
    :param body: JSON, or None
    :param records: what it submits; none for a read
    :param operation: the name of the operation that submits them
    :param is_test: whether a person only wants to know if the connection works
    """

    method: str
    target: str
    subject: str
    body: bytes | None = field(default=None, repr=False)
    records: Sequence[Record] = field(default=(), repr=False)
    operation: str = ""
    is_test: bool = False

    @property
    def is_write(self) -> bool:
        """Whether a lost response leaves open if it was processed."""
        return self.method != "GET"

    @property
    def values(self) -> Iterator[str]:
        """What no message may repeat: the values of the records' attributes."""
        return (value for record in self.records for value in record.attributes.values())


@dataclass(frozen=True)
class Response:
    """
    One HTTP response.

    :param status: the HTTP status
    :param body: as received, decompressed
    :param headers: only ``Retry-After`` is read
    :param received_at: seconds since 1970, to read a Retry-After that is a date
    :param hide: the profile key: should the response repeat it, it goes no further
    """

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    received_at: float = field(default_factory=time.time)
    hide: str = field(default="", repr=False)


def write_request(
    operation: Operation, app_id: str, records: Sequence[Record], payload: Payload | None = None
) -> Request:
    """
    Return the request that submits records.

    :param payload: the encoded records, where they are at hand
    :raises IMIconnectRequestError: no records or more than 100 (contract 3: 7012, and nothing is done), or no app
    """
    if not 0 < len(records) <= MAX_RECORDS:
        raise IMIconnectRequestError(
            f"A request takes 1 to {MAX_RECORDS} records, not {len(records)}: nothing was sent."
        )
    body, query = payload or operation.encode(records)
    path = BASE_PATH + operation.path.format(app_id=_segment(app_id, "app_id"))
    return Request(operation.method, path + query, f"{operation.name} for app {app_id}", body, records, operation.name)


def status_request(transid: str) -> Request:
    """Return the request for the status of a transaction."""
    return Request("GET", f"{BASE_PATH}/profile/status/{_segment(transid, 'transid')}", f"status of {transid}")


def test_request(transid: str, base_url: str) -> Request:
    """Return the request that tests a connection: for the status of an id that nobody has (contract 5: 7600)."""
    return replace(status_request(transid), subject=f"test of {base_url}", is_test=True)


def _segment(value: str, name: str) -> str:
    """Return one segment of a path; contract 9: what could widen a request to another path is refused."""
    if not isinstance(value, str) or not value.strip():
        raise IMIconnectRequestError(f"{name} is empty: nothing was sent.")
    if value in (".", "..") or not value.isprintable():
        raise IMIconnectRequestError(f"{name} {value[:100]!r} is not an id: nothing was sent.")
    return quote(value, safe="")
