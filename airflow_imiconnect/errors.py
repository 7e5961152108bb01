"""
What can go wrong, as a tree. The class of an error tells Airflow whether to retry the task.

IMIconnectError                           (AirflowException: Airflow may retry the task)
├── IMIconnectTransientError              may succeed later: no connection, 5xx, 7006, 7016, 7019, 7020
│   ├── IMIconnectRateLimitError          the limit of requests per second is reached: 7020, 429
│   └── IMIconnectAmbiguousError          a write whose response was lost: the server may have processed it
├── IMIconnectPermanentError              (AirflowFailException: the task fails at once, without retries)
│   ├── IMIconnectAuthenticationError     the key or the source address is refused: 7001, 7002, 7010, 7208, 401, 403
│   ├── IMIconnectRequestError            the request can never succeed: 7018, 7012, a wrong host, a redirect
│   ├── IMIconnectInvalidRecordError      the input is invalid; nothing was sent
│   └── IMIconnectRecordsFailedError      the service has refused or failed some of the records

Messages name customer ids, files, lines and codes. They never contain the profile key or an attribute's value.
"""

from __future__ import annotations

from copy import copy

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

_LONGEST_FIELD = 100
_LONGEST_TEXT = 300


def one_line(text: str) -> str:
    """Return a text shortened to one line, so that text from the service can neither forge nor flood a log."""
    printable = "".join(character if character.isprintable() else " " for character in text[: 2 * _LONGEST_TEXT])
    return " ".join(printable.split())[:_LONGEST_TEXT]


class IMIconnectError(AirflowException):
    """
    The base class of all errors in this package.

    :param message: what is wrong, where, and what to do about it
    :param code: the service's code, for example ``"7018"``, if it gave one
    :param description: the service's own description of it
    :param http_status: the HTTP status of the response, if there was one
    :param transid: the transaction concerned, if any
    :param retry_after: seconds that the service asks to wait before the next attempt
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
        """Return the same error with a sentence added to its message."""
        error = copy(self)
        error.args = (f"{self} {words}",)
        return error


class IMIconnectTransientError(IMIconnectError):
    """The request failed this time and was not processed; it may succeed later."""


class IMIconnectRateLimitError(IMIconnectTransientError):
    """The limit of requests per second is reached (7020, HTTP 429): slow down all requests and retry."""


class IMIconnectAmbiguousError(IMIconnectTransientError):
    """A write was sent and its response was lost: the server may or may not have processed it (contract 7)."""


class IMIconnectPermanentError(IMIconnectError, AirflowFailException):
    """Retrying cannot help; a task that raises it fails without retries."""


class IMIconnectAuthenticationError(IMIconnectPermanentError):
    """The profile key is missing or wrong, or the source address is not allowed (contract 2)."""


class IMIconnectRequestError(IMIconnectPermanentError):
    """The request, or the connection that it would use, can never work as it is."""


class IMIconnectInvalidRecordError(IMIconnectPermanentError):
    """
    The input is invalid, and none of it was sent.

    :param where: file and line, or the position in a list: ``profiles.csv, line 7`` or ``records[12]``
    :param field: the invalid field, if it is a single one: ``customerId`` or ``Attributes.status``
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
    Some records were refused, or failed.

    :param message: counts by code and the first few customer ids
    :param failures: the number of failed records by the service's code: ``{"7015": 2}``
    :param customer_ids: the first few of them
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
