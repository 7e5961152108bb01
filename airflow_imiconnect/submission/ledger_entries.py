"""What the ledger says of a batch: nothing, or one of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from airflow_imiconnect.profile_api.results import Receipt


@dataclass(frozen=True)
class Intended:
    """It was about to be sent: the service may have processed it (contract 7)."""

    resent = True


@dataclass(frozen=True)
class Accepted:
    """
    The service has answered.

    :param resent: whether an earlier request with the same batch may have been processed, too
    """

    receipt: Receipt
    resent: bool = False


@dataclass(frozen=True)
class Split:
    """The service refused it as a whole, and its halves were sent in its place; ``resent`` as in Accepted."""

    resent: bool = False


Entry: TypeAlias = "Intended | Accepted | Split"
