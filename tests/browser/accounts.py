"""A whole Airflow that asks who you are."""

import contextlib
import json

import requests
from support.headless import Headless

USER = "ada"
PASSWORD = "made-for-one-run-of-the-tests"
ACCOUNTS = {
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
}


class AirflowWithLogin(Headless):
    """
    A headless Airflow with one account, an administrator's.

    :param home: as of Headless, and so are dags and environment
    """

    def __init__(self, home, dags, environment):
        passwords = home / "passwords.json"
        settings = ACCOUNTS | {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords)}
        super().__init__(home, dags, settings | environment, triggerer=True)
        home.mkdir(parents=True, exist_ok=True)
        passwords.write_text(json.dumps({USER: PASSWORD}), encoding="utf-8")

    @property
    def url(self):
        """Where the pages are."""
        return self._url

    def extra(self, connection_id):
        """Return the extra of a connection, as it was stored."""
        return json.loads(self._ask("GET", f"connections/{connection_id}")["extra"])

    def _is_ready(self):
        with contextlib.suppress(requests.RequestException):
            self._log_in()
            return super()._is_ready()
        return False

    def _log_in(self):
        if "Authorization" not in self._api.headers:
            answer = self._api.post(
                f"{self._url}/auth/token", json={"username": USER, "password": PASSWORD}, timeout=30
            )
            answer.raise_for_status()
            self._api.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
