"""
What can go wrong, as a tree. What a class is tells Airflow whether to try the task again.

IMIconnectError                           (AirflowException: Airflow may retry the task)
├── IMIconnectTransientError              it may work later: no connection, 5xx, 7006, 7016, 7019, 7020
│   ├── IMIconnectRateLimitError          the limit of calls a second is reached: 7020, 429
│   └── IMIconnectAmbiguousError          a write whose answer was lost: it may have happened
├── IMIconnectPermanentError              (AirflowFailException: the task ends at once, without retries)
│   ├── IMIconnectAuthenticationError     the key or the source address is refused: 7001, 7002, 7010, 7208, 401, 403
│   ├── IMIconnectRequestError            this call can never work: 7018, 7012, a wrong host, a redirect
│   ├── IMIconnectInvalidRecordError      the input is wrong; nothing was sent
│   └── IMIconnectRecordsFailedError      the service has finished, and did not take some of the records

Messages name customer ids, files, lines, codes. They never hold the profile key or an attribute's value.
"""

from __future__ import annotations

from copy import copy

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_imiconnect.texts import one_line

_LONGEST_FIELD = 100


class IMIconnectError(AirflowException):
    """
    The base of all errors of this package.

    :param message: what is wrong, where, and what to do about it
    :param code: the service's code, for example ``"7018"``, where it gave one
    :param description: the service's own words for it
    :param http_status: the HTTP status of the answer, where there was one
    :param transid: the transaction it is about, where there is one
    :param retry_after: seconds that the service asks to wait before the next try
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        description: str | None = None,
        http_status: int | None = None,
        transid: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.description = description
        self.http_status = http_status
        self.transid = transid
        self.retry_after = retry_after

    def with_context(self, words: str) -> IMIconnectError:
        """Return the same error with a further sentence in its message."""
        error = copy(self)
        error.args = (f"{self} {words}",)
        return error


class IMIconnectTransientError(IMIconnectError):
    """The call did not work this time and was not processed; it may work later."""


class IMIconnectRateLimitError(IMIconnectTransientError):
    """The limit of calls a second is reached (7020, HTTP 429): to be made again, and everything slower."""


class IMIconnectAmbiguousError(IMIconnectTransientError):
    """A write was sent and its answer was lost: it may have happened, or not (contract 7)."""


class IMIconnectPermanentError(IMIconnectError, AirflowFailException):
    """Trying again cannot help; a task that lets it through fails without retries."""


class IMIconnectAuthenticationError(IMIconnectPermanentError):
    """The profile key is missing or wrong, or the source address is not allowed (contract 2)."""


class IMIconnectRequestError(IMIconnectPermanentError):
    """The call, or the connection that it would use, can never work as it is."""


class IMIconnectInvalidRecordError(IMIconnectPermanentError):
    """
    The input is wrong, and nothing of it was sent.

    :param where: file and line, or the place in a list: ``profiles.csv, line 7`` or ``records[12]``
    :param field: the field that is wrong, where it is one: ``customerId`` or ``Attributes.status``
    :param reason: what is wrong with it; never its value
    """

    def __init__(self, where: str = "", reason: str = "", *, field: str | None = None) -> None:
        field = one_line(field)[:_LONGEST_FIELD] if field else field
        super().__init__(f"{where}: {field}: {reason}" if field else f"{where}: {reason}")
        self.where = where
        self.field = field
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, str], dict[str, object]]:
        return type(self), (self.where, self.reason), self.__dict__ | {"args": self.args}


class IMIconnectRecordsFailedError(IMIconnectPermanentError):
    """
    Some records were not taken.

    :param message: counts by code and the first few customer ids
    :param failures: how many records failed, by the service's code: ``{"7015": 2}``
    :param customer_ids: the first of them
    """

    def __init__(
        self,
        message: str = "",
        *,
        failures: dict[str, int] | None = None,
        customer_ids: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.failures = failures or {}
        self.customer_ids = customer_ids
