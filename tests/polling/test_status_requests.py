"""Polling over the network: the simulator's transactions, with the settings of a connection."""

import asyncio
import logging
import time

import pytest
from support.stand_ins import APP, KEY, records

from airflow_imiconnect.pacing.backoff import PollPolicy
from airflow_imiconnect.polling.status_requests import Polling
from airflow_imiconnect.profile_api.operations import CREATE
from airflow_imiconnect.profile_api.requests import write_request
from airflow_imiconnect.profile_api.responses import read_receipt
from airflow_imiconnect.profile_api.results import Transaction
from airflow_imiconnect.records.sources.lists import ListSource
from airflow_imiconnect.records.validation import check_records
from airflow_imiconnect.transport.settings import Settings
from airflow_imiconnect.transport.sync_client import SyncClient

LOG = logging.getLogger(__name__)


@pytest.fixture
def submitted(sim):
    """Submit so many batches of two records; return the settings, and the transactions."""

    def _submitted(count, **settings):
        settings = Settings(sim.url, KEY, timeout=5, **settings)
        client, transactions = SyncClient(settings), []
        for number in range(count):
            two = [record | {"customerId": f"{number}-{record['customerId']}"} for record in records(2)]
            request = write_request(CREATE, APP, list(check_records(ListSource(two))))
            transactions.append(Transaction(read_receipt(request, client.exchange(request)).transid, records=2))
        client.close()
        return settings, transactions

    return _submitted


def waited(polling, transactions, seconds=20):
    finished, poller = [], None

    async def wait():
        nonlocal poller
        poller = polling.poller(transactions, finished.append)
        return await poller.until_finished(time.monotonic() + seconds)

    return asyncio.run(wait()), finished, poller


def test_each_status_is_handed_over_once(submitted):
    settings, transactions = submitted(3)
    done, finished, poller = waited(Polling(settings, PollPolicy(0.05), 2, LOG), transactions)
    assert (done, poller.left) == (True, 0)
    assert sorted(status.transid for status in finished) == sorted(each.transid for each in transactions)
    assert {status.state for status in finished} == {"succeeded"}


def test_what_the_service_says_of_more_records_than_were_submitted_is_not_believed(submitted):
    settings, (transaction,) = submitted(1)
    polling = Polling(settings, PollPolicy(0.05), 1, LOG)
    done, finished, poller = waited(polling, [transaction._replace(records=1)], seconds=0)
    assert (done, finished, poller.left) == (False, [], 1)


@pytest.mark.parametrize(("of_connection", "of_task"), [(20, None), (1000, 20), (None, 20)])
def test_the_rate_is_the_tasks_or_else_the_connections(submitted, of_connection, of_task):
    settings, transactions = submitted(6, requests_per_second=of_connection)
    started = time.monotonic()
    done, _, _ = waited(Polling(settings, PollPolicy(30), 6, LOG, of_task), transactions)
    assert done
    assert time.monotonic() - started >= 0.2, "the sixth starts a quarter of a second after the first"


def test_progress_goes_to_the_tasks_log(submitted, caplog):
    settings, transactions = submitted(1)
    log = logging.getLogger("a task")
    with caplog.at_level(logging.INFO):
        assert not waited(Polling(settings, PollPolicy(0.05), 1, log), [*transactions, Transaction("nobody's")], 0.3)[0]
    assert ("a task", logging.INFO, "1 of 2 transactions have finished.") in caplog.record_tuples
