"""IMIconnectHook: an Airflow connection -> one pooled requests.Session -> the protocol."""

from __future__ import annotations

import ssl
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import requests
from airflow.providers.common.compat.sdk import BaseHook
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError

from airflow_imiconnect import connection_form, network, protocol
from airflow_imiconnect.attributes import RecordProblem
from airflow_imiconnect.batches import Batch, encode
from airflow_imiconnect.errors import (
    IMIconnectError,
    IMIconnectInvalidRecordError,
)
from airflow_imiconnect.models import AppProfile, Receipt, TransactionStatus
from airflow_imiconnect.session import new_session
from airflow_imiconnect.settings import Settings


class IMIconnectHook(BaseHook):
    """
    Speaks to the Profile API of IMIconnect (Webex Connect).

    One session serves all threads: it is only read after it was made, keeps no cookies, and its connection pool is
    made for threads. Nothing is looked up or opened before the first call.

    :param imiconnect_conn_id: a connection of type ``imiconnect``
    """

    conn_name_attr = "imiconnect_conn_id"
    default_conn_name = "imiconnect_default"
    conn_type = "imiconnect"
    hook_name = "IMIconnect (Webex Connect)"

    def __init__(self, imiconnect_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.imiconnect_conn_id = imiconnect_conn_id
        self._lock = threading.Lock()
        self._settings: Settings | None = None
        self._session: requests.Session | None = None

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return what the connection form makes of the standard fields; only Airflow 3.1 asks for it."""
        return connection_form.field_behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the connection form's own fields; only Airflow 3.1 asks for it."""
        return connection_form.widgets()

    @property
    def settings(self) -> Settings:
        """What the connection says; read once."""
        with self._lock:
            if self._settings is None:
                self._settings = Settings.from_connection(self.get_connection(self.imiconnect_conn_id))
            return self._settings

    def get_conn(self) -> requests.Session:
        """Return the session; the profile key is in its headers, and redirects are errors."""
        settings = self.settings
        with self._lock:
            if self._session is None:
                self._session = new_session(settings)
            return self._session

    def close(self) -> None:
        """Close the pooled connections; the next call opens new ones."""
        with self._lock:
            if self._session is not None:
                self._session.close()
            self._session = None

    def create_app_profiles(self, app_id: str, records: Sequence[object]) -> Receipt:
        """
        Submit records in one call.

        :param app_id: the tenant's app, for example ``a_636035705699961900``
        :param records: 1 to 100 dicts ``{"customerId": …, "Attributes": {…}}`` or AppProfile
        :raises IMIconnectInvalidRecordError: a record can never be right; nothing was sent
        :raises IMIconnectAmbiguousError: the answer was lost, the profiles may have been created
        :raises IMIconnectError: of the class that says whether another try may help
        """
        profiles = list(_checked(records))
        values = (value for profile in profiles for value in profile.attributes.values())
        return self._write(protocol.write_call(protocol.CREATE, app_id, encode(profiles), len(profiles), values))

    def send(self, batch: Batch) -> Receipt:
        """Submit one batch of any operation; raises as create_app_profiles does."""
        call = protocol.write_call(batch.operation, batch.app_id, batch.body, len(batch.records), batch.values)
        return self._write(call)

    def get_profile_status(self, transid: str) -> TransactionStatus:
        """
        Ask how far a transaction is; 7600 and QUEUED are the state "waiting".

        :raises IMIconnectError: of the class that says whether another try may help
        """
        call = protocol.status_call(transid)
        return protocol.read_status(call, self._exchange(call), transid)

    def test_connection(self) -> tuple[bool, str]:
        """Call the service in a way that changes nothing; return whether the key works, and else what to do."""
        transid = str(uuid.uuid4())
        try:
            call = protocol.test_call(transid, self.settings.base_url)
            protocol.read_test(call, self._exchange(call), transid)
        except IMIconnectError as error:
            return False, str(error)
        return True, f"{self.settings.base_url} answers, and the profile key is right."

    def _write(self, call: protocol.Call) -> Receipt:
        return protocol.read_receipt(call, self._exchange(call))

    def _exchange(self, call: protocol.Call) -> protocol.Answer:
        session, settings = self.get_conn(), self.settings
        try:
            with session.request(
                call.method,
                settings.base_url + call.path,
                data=call.body,
                timeout=(settings.connect_timeout, settings.timeout),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = _read_body(response, call, settings.timeout)
                return protocol.Answer(response.status_code, body, response.headers, hide=settings.key)
        except network.Unusable as error:
            raise network.unusable(call, error) from None
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _network_error(call, error) from None


def _checked(records: Sequence[object]) -> Iterator[AppProfile]:
    for index, record in enumerate(records):
        try:
            yield AppProfile.from_record(record)
        except RecordProblem as problem:
            raise IMIconnectInvalidRecordError(f"records[{index}]", problem.reason, field=problem.name) from None


def _read_body(response: requests.Response, call: protocol.Call, timeout: float) -> bytes:
    """Read the answer piece by piece, as it comes: no endless, huge or compressed one may hold the task."""
    deadline = time.monotonic() + timeout
    body = bytearray()
    while piece := response.raw.read1(64 * 1024, decode_content=False):
        body += piece
        if len(body) > protocol.MAX_ANSWER_BYTES:
            raise network.too_large(call)
        if time.monotonic() > deadline:
            raise network.too_slow(call, timeout)
    return bytes(body)


def _network_error(call: protocol.Call, error: Exception) -> IMIconnectError:
    """Say what the network said, by its kinds: messages of libraries may quote headers."""
    under = tuple(network.causes(error))
    sent = not network.nothing_was_sent(error)
    tls = next((cause for cause in under if isinstance(cause, ssl.SSLError)), None)
    if tls and isinstance(error, requests.exceptions.SSLError):
        return network.tls_error(call, tls, sent=sent)
    if isinstance(error, requests.exceptions.ProxyError):
        return network.no_proxy(call, error)
    if isinstance(error, requests.ConnectTimeout):
        return network.no_connection_in_time(call)
    if any(isinstance(cause, NewConnectionError) for cause in under):
        return network.no_connection(call, error)
    if isinstance(error, requests.exceptions.InvalidURL | LocationParseError):
        return protocol.cannot_call(call, "the URL is not valid")
    if isinstance(error, requests.ReadTimeout):
        return network.no_answer_in_time(call, sent=sent)
    return network.broken(call, error, sent=sent)
