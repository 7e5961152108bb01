"""The desk in front of the service: numbers each call, looks up its fault, and writes down what happened."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from airflow_imiconnect.simulator import rules
from airflow_imiconnect.simulator.faults import Fault, Faults, plan_of
from airflow_imiconnect.simulator.service import Answer, Service

CallKind = Literal["create", "status"]


@dataclass(frozen=True, slots=True)
class Call:
    """
    One call that arrived.

    ``number`` counts from 1 within its kind; ``time`` is in seconds since 1970; ``digest`` is the SHA-256 of the body
    in hex. ``transid`` is the one given out (create; None where nothing was accepted) or asked for (status); ``app_id``
    is None for status. ``http_status`` and ``code`` are what the client can see: None where no answer starts, or where
    no code can be read. ``accepted`` says that the service took the records, even when its answer was lost; a status
    call, which brings none, is never accepted. ``fault`` is the kind of the fault planned for it, or None.
    """

    number: int
    kind: CallKind
    time: float
    app_id: str | None
    transid: str | None
    customer_ids: tuple[str, ...]
    digest: str
    http_status: int | None
    code: str | None
    accepted: bool
    fault: str | None


class Outcome(NamedTuple):
    """What to send back: the service's answer, unless a fault comes between."""

    answer: Answer
    fault: Fault | None


class Gateway:
    """Takes each call in one step, so that numbers, books and the order of acceptance always agree."""

    def __init__(self, service: Service, faults: Faults | None = None) -> None:
        self.service = service
        self.plan = plan_of(faults)
        self._calls: list[Call] = []
        self._numbers: dict[CallKind, int] = {"create": 0, "status": 0}

    def create(self, key: str | None, app_id: str, body: bytes) -> Outcome:
        """Take a create call."""
        return self._take("create", lambda: self.service.create(key, app_id, body), app_id=app_id, body=body)

    def status(self, key: str | None, transid: str) -> Outcome:
        """Take a status call."""
        return self._take("status", lambda: self.service.status(key, transid), transid=transid)

    def _take(
        self,
        kind: CallKind,
        judge: Callable[[], Answer],
        *,
        app_id: str | None = None,
        transid: str | None = None,
        body: bytes = b"",
    ) -> Outcome:
        with self.service.lock:
            self._numbers[kind] += 1
            number = self._numbers[kind]
            fault = self.plan(kind, number)
            answer = judge() if fault is None or fault.reaches_service else _unjudged(fault)
            http_status, code = answer.http_status, answer.code
            call = Call(
                number=number,
                kind=kind,
                time=self.service.clock(),
                app_id=app_id,
                transid=transid or answer.transid,
                customer_ids=answer.customer_ids or rules.customer_ids_of(body),
                digest=hashlib.sha256(body).hexdigest(),
                http_status=fault.seen(http_status, code)[0] if fault else http_status,
                code=fault.seen(http_status, code)[1] if fault else code,
                accepted=answer.accepted,
                fault=fault.kind if fault else None,
            )
            self._calls.append(call)
            return Outcome(answer, fault)

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls in the order of arrival."""
        with self.service.lock:
            return tuple(self._calls)


def _unjudged(fault: Fault) -> Answer:
    """Return the answer to a call that never reached the service."""
    code = fault.kind if fault.is_code else "7016"
    return Answer({"code": code, "description": rules.describe(code)})
