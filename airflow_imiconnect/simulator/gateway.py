"""In front of the service: numbers each request, looks up its fault, and records what happened."""

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
    One request that arrived.

    ``number`` counts from 1 within its kind; ``time`` is in seconds since 1970; ``digest`` is the SHA-256 of the body
    in hex. ``transid`` is the one issued (create; None if nothing was accepted) or requested (status); ``app_id`` is
    None for status. ``http_status`` and ``code`` are what the client can see: None if no response starts or no code
    can be read. ``accepted`` means that the service took the records, even if its response was lost; a status request
    carries none and is never accepted. ``fault`` is the kind of the fault planned for it, or None.
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
    """What to send back: the service's response, unless a fault intervenes."""

    answer: Answer
    fault: Fault | None


class Gateway:
    """Handles each request in one step, so that numbers, records of calls and the order of acceptance always agree."""

    def __init__(self, service: Service, faults: Faults | None = None) -> None:
        self.service = service
        self.plan = plan_of(faults)
        self._calls: list[Call] = []
        self._numbers: dict[CallKind, int] = {"create": 0, "status": 0}

    def create(self, key: str | None, app_id: str, body: bytes) -> Outcome:
        """Handle a create request."""
        return self._take("create", lambda: self.service.create(key, app_id, body), app_id=app_id, body=body)

    def status(self, key: str | None, transid: str) -> Outcome:
        """Handle a status request."""
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
        """All requests in order of arrival."""
        with self.service.lock:
            return tuple(self._calls)


def _unjudged(fault: Fault) -> Answer:
    """Return the response to a request that never reached the service."""
    code = fault.kind if fault.is_code else "7016"
    return Answer({"code": code, "description": rules.describe(code)})
