"""IMIconnectHook: an Airflow connection -> one client for all threads -> the Profile API."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_imiconnect.attributes import RecordProblem
from airflow_imiconnect.errors import IMIconnectError, IMIconnectInvalidRecordError
from airflow_imiconnect.profile_api.operations import CREATE
from airflow_imiconnect.profile_api.requests import Request, status_request, test_request, write_request
from airflow_imiconnect.profile_api.responses import read_receipt, read_status, read_test
from airflow_imiconnect.profile_api.results import Receipt, TransactionStatus
from airflow_imiconnect.provider_info import extra_fields, standard_fields
from airflow_imiconnect.records.batches import Batch
from airflow_imiconnect.records.profile import AppProfile
from airflow_imiconnect.transport.settings import Settings

if TYPE_CHECKING:
    import requests

    from airflow_imiconnect.transport.sync_client import SyncClient


class IMIconnectHook(BaseHook):
    """
    Speaks to the Profile API of IMIconnect (Webex Connect).

    One client serves all threads. Nothing is looked up or opened before the first request.

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
        self._open_client: SyncClient | None = None

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return what the connection form makes of the standard fields; only Airflow 3.1 asks for it."""
        return {name.replace("-", "_"): value for name, value in standard_fields().items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the connection form's own fields; only Airflow 3.1 asks for it."""
        from wtforms import StringField  # noqa: PLC0415 - there to be imported at that moment only

        return {name: _widget(StringField, spec) for name, spec in extra_fields().items()}

    @property
    def settings(self) -> Settings:
        """What the connection says; read once."""
        with self._lock:
            if self._settings is None:
                self._settings = Settings.from_connection(self.get_connection(self.imiconnect_conn_id))
            return self._settings

    def get_conn(self) -> requests.Session:
        """
        Return a session with the profile key in its headers; it follows no redirect.

        What is set in it (``verify``, ``proxies``, ``headers``, mounted adapters) counts for requests of the hook, too,
        where the environment says nothing else.
        """
        return self._client.session

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        with self._lock:
            client, self._open_client = self._open_client, None
        if client is not None:
            client.close()

    def create_app_profiles(self, app_id: str, records: Sequence[object]) -> Receipt:
        """
        Submit records in one request.

        :param app_id: the tenant's app, for example ``a_636035705699961900``
        :param records: 1 to 100 dicts ``{"customerId": …, "Attributes": {…}}`` or AppProfile
        :raises IMIconnectInvalidRecordError: a record can never be right; nothing was sent
        :raises IMIconnectAmbiguousError: the response was lost, the profiles may have been created
        :raises IMIconnectError: of the class that says whether a retry may help
        """
        return self._write(write_request(CREATE, app_id, list(_checked(records))))

    def send(self, batch: Batch) -> Receipt:
        """Submit one batch of any operation; raises as create_app_profiles does."""
        return self._write(write_request(batch.operation, batch.app_id, batch.records, batch.payload))

    def get_profile_status(self, transid: str) -> TransactionStatus:
        """
        Ask how far a transaction is; 7600 and QUEUED are the state "waiting".

        :raises IMIconnectError: of the class that says whether a retry may help
        """
        request = status_request(transid)
        return read_status(request, self._client.exchange(request), transid)

    def test_connection(self) -> tuple[bool, str]:
        """Send a request that changes nothing; return whether the key works, and else what to do."""
        transid = str(uuid.uuid4())
        try:
            request = test_request(transid, self.settings.base_url)
            read_test(request, self._client.exchange(request), transid)
        except IMIconnectError as error:
            return False, str(error)
        return True, f"{self.settings.base_url} answers, and the profile key is right."

    def _write(self, request: Request) -> Receipt:
        return read_receipt(request, self._client.exchange(request))

    @property
    def _client(self) -> SyncClient:
        """The client, made for the first request."""
        settings = self.settings
        with self._lock:
            if self._open_client is None:
                from airflow_imiconnect.transport.sync_client import SyncClient  # noqa: PLC0415 - it takes its time

                self._open_client = SyncClient(settings)
            return self._open_client


def _checked(records: Sequence[object]) -> Iterator[AppProfile]:
    for index, record in enumerate(records):
        try:
            yield AppProfile.from_record(record)
        except RecordProblem as problem:
            raise IMIconnectInvalidRecordError(f"records[{index}]", problem.reason, field=problem.name) from None


def _widget(field: Any, spec: Mapping[str, Any]) -> Any:  # noqa: ANN401 - Airflow's stand-in, or a field of WTForms
    widget = field(spec["label"], description=spec["description"])
    # WTForms knows no drop-down with names and no number with a minimum; the schema of Airflow's stand-in takes both.
    if hasattr(widget, "param"):
        widget.param.schema.update(spec["schema"])
    return widget
