"""IMIconnectHook: an Airflow connection -> one pooled requests.Session -> the protocol."""

from __future__ import annotations

import ssl
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from airflow.providers.common.compat.sdk import BaseHook
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError

from airflow_imiconnect import __version__, protocol
from airflow_imiconnect.attributes import RecordProblem
from airflow_imiconnect.batches import Batch, encode
from airflow_imiconnect.errors import (
    IMIconnectAuthenticationError,
    IMIconnectError,
    IMIconnectInvalidRecordError,
    IMIconnectRequestError,
)
from airflow_imiconnect.hosts import base_url, is_loopback
from airflow_imiconnect.models import AppProfile, Receipt, TransactionStatus

DEFAULT_TIMEOUT = 30.0
_CONNECT_TIMEOUT = 10.0
_POOL_SIZE = 64
_TLS_REFUSALS = frozenset(
    {
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "UNKNOWN_PROTOCOL",
        "UNSUPPORTED_PROTOCOL",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_UNRECOGNIZED_NAME",
        "NO_PROTOCOLS_AVAILABLE",
    }
)


@dataclass(frozen=True)
class Settings:
    """
    What a connection says, checked.

    :param base_url: the URL in front of ``/resources/v2``
    :param key: the profile key; it is left out of the text form
    :param app_id: the default app, or None
    :param requests_per_second: the tenant's limit, or None
    :param timeout: seconds to wait for an answer
    """

    base_url: str
    key: str = field(repr=False)
    app_id: str | None = None
    requests_per_second: float | None = None
    timeout: float = DEFAULT_TIMEOUT

    @classmethod
    def from_connection(cls, connection: Any) -> Settings:  # noqa: ANN401 - Airflow has had several Connection classes
        """
        Read an Airflow connection of type ``imiconnect``.

        :raises IMIconnectAuthenticationError: there is no profile key, or none that fits into a header
        :raises IMIconnectRequestError: the host, region or an extra cannot be right
        """
        extra = _extra(connection)
        return cls(
            base_url=base_url(connection.host, str(extra.get("region") or ""), connection.port),
            key=_key(connection.password, connection.conn_id),
            app_id=str(extra.get("app_id") or "").strip() or None,
            requests_per_second=_positive(extra.get("requests_per_second"), "requests_per_second"),
            timeout=_positive(extra.get("timeout"), "timeout") or DEFAULT_TIMEOUT,
        )


def _extra(connection: Any) -> Mapping[str, object]:  # noqa: ANN401 - as above
    extra: object = connection.extra_dejson
    # Airflow turns what is no JSON into nothing: the call would go to the default host.
    if not isinstance(extra, Mapping) or (not extra and (connection.extra or "{}").strip() not in ("{}", "null", '""')):
        raise IMIconnectRequestError(f"The extra of connection {connection.conn_id!r} is no JSON object.")
    return extra


def _key(password: str | None, conn_id: str) -> str:
    key = (password or "").strip()
    if not key:
        raise IMIconnectAuthenticationError(
            f"Connection {conn_id!r} holds no profile key: put the client profile key into its password."
        )
    if not (key.isascii() and key.isprintable()):
        raise IMIconnectAuthenticationError(
            f"The password of connection {conn_id!r} is no profile key: it holds characters that no header may hold."
        )
    return key


def _positive(value: object, name: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(str(value))
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise IMIconnectRequestError(f"The connection's extra {name!r} must be a number above 0.")
    return number


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
                self._session = _session(settings)
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
        return self._write(protocol.write_call(protocol.CREATE, app_id, encode(list(_checked(records)))))

    def send(self, batch: Batch) -> Receipt:
        """Submit one batch of any operation; raises as create_app_profiles does."""
        return self._write(protocol.write_call(batch.operation, batch.app_id, batch.body))

    def get_profile_status(self, transid: str) -> TransactionStatus:
        """
        Ask how far a transaction is; 7600 and QUEUED are the state "waiting".

        :raises IMIconnectError: of the class that says whether another try may help
        """
        call = protocol.status_call(transid)
        return protocol.read_status(call, self._exchange(call), transid)

    def test_connection(self) -> tuple[bool, str]:
        """Read the status of a random id: 7600, "no result found", means that the key is right (contract 5)."""
        try:
            self.get_profile_status(str(uuid.uuid4()))
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
                timeout=(min(_CONNECT_TIMEOUT, settings.timeout), settings.timeout),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = _read_body(response, call, settings.timeout)
                return protocol.Answer(response.status_code, body, response.headers, hide=settings.key)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _network_error(call, error) from None


def _checked(records: Sequence[object]) -> Iterator[AppProfile]:
    for index, record in enumerate(records):
        try:
            yield AppProfile.from_record(record)
        except RecordProblem as problem:
            raise IMIconnectInvalidRecordError(f"records[{index}]", problem.reason, field=problem.name) from None


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - requests names it
        """Follow no redirect, whoever calls: the key must not leave the host (contract 6)."""
        return


def _session(settings: Settings) -> requests.Session:
    session = _Session()
    session.headers.update(
        {
            "key": settings.key,
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # answers are small; a compressed one could be a bomb
            "User-Agent": f"airflow-imiconnect/{__version__}",
        }
    )
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # A proxy from the environment would be handed the key in clear where http is spoken, which is loopback only.
    session.trust_env = not is_loopback(settings.base_url)
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=_POOL_SIZE, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _read_body(response: requests.Response, call: protocol.Call, timeout: float) -> bytes:
    """Read the answer piece by piece: neither an endless nor a huge one may hold the task."""
    deadline = time.monotonic() + timeout
    body = bytearray()
    while piece := response.raw.read1(64 * 1024, decode_content=True):
        body += piece
        if len(body) > protocol.MAX_ANSWER_BYTES:
            raise protocol.no_answer(call, f"the answer is larger than {protocol.MAX_ANSWER_BYTES} bytes", sent=True)
        if time.monotonic() > deadline:
            raise protocol.no_answer(call, f"the answer did not end within {timeout:g} s", sent=True)
    return bytes(body)


def _network_error(call: protocol.Call, error: Exception) -> IMIconnectError:
    """Say what the network said, by its kinds: messages of libraries may quote headers."""
    causes = tuple(_causes(error))
    if isinstance(error, requests.exceptions.SSLError) and any(isinstance(cause, ssl.SSLError) for cause in causes):
        return _tls_error(call, next(cause for cause in causes if isinstance(cause, ssl.SSLError)))
    if isinstance(error, requests.exceptions.ProxyError):
        return protocol.no_answer(call, "the proxy did not take the call", sent=False)
    if isinstance(error, requests.ConnectTimeout):
        return protocol.no_answer(call, "no connection in time", sent=False)
    if any(isinstance(cause, NewConnectionError) for cause in causes):
        system = next((cause for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
        return protocol.no_answer(call, f"no connection ({system.strerror if system else 'refused'})", sent=False)
    if isinstance(error, requests.exceptions.InvalidURL | LocationParseError):
        return protocol.cannot_call(call, "the URL is not valid")
    if isinstance(error, requests.ReadTimeout):
        return protocol.no_answer(call, "no answer in time", sent=True)
    return protocol.no_answer(call, "the connection broke", sent=True)


def _tls_error(call: protocol.Call, error: ssl.SSLError) -> IMIconnectError:
    """Tell what a handshake ends with for good from what may come when the call has been sent already."""
    reason = getattr(error, "reason", None) or "no reason given"
    if isinstance(error, ssl.SSLCertVerificationError) or reason in _TLS_REFUSALS:
        return protocol.cannot_call(call, f"TLS failed ({reason})")
    return protocol.no_answer(call, f"TLS broke ({reason})", sent=True)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what lies under it: by cause, by context, and in the arguments of urllib3's wrappers."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        item = todo.pop()
        if isinstance(item, BaseException) and id(item) not in seen:
            seen.add(id(item))
            yield item
            todo += [item.__cause__, item.__context__, getattr(item, "reason", None), *item.args]
