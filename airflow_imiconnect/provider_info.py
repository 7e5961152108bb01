"""The provider's metadata and its connection form. It imports nothing, because Airflow reads it at every start."""

# The values of extra.region, and what the form shows for them: the vendor's name and the host (contract 1).
_REGIONS = {
    "ca": "Canada (AWS): api.ca.webexconnect.io",
    "eu": "Ireland (AWS): api.eu.webexconnect.io",
    "uk": "London (AWS): api.uk.webexconnect.io",
    "us": "Oregon (AWS): api.us.webexconnect.io",
    "us1": "USA (Azure): api.us1.webexconnect.io",
    "in": "Mumbai (AWS): api.in.webexconnect.io",
    "au": "Sydney (AWS): api.au.webexconnect.io",
    "legacy-ca": "Canada (legacy): api.imiconnect.ca",
    "legacy-emea": "EMEA (legacy): api.imiconnect.io",
    "legacy-uk": "UK (legacy): api.imiconnect.eu",
    "legacy-us": "USA (AWS, legacy): api-us.imiconnect.io",
    "legacy-us-azure": "USA (Azure, legacy): api.imiconnect.us",
    "legacy-apac": "APAC (legacy): api.imiconnect.in",
    "legacy-other": "Other (legacy): api.imiconnect.com",
}


def get_provider_info() -> dict[str, object]:
    """Return the provider's description, its connection type and the connection's form."""
    return {
        "package-name": "airflow-imiconnect",
        "name": "IMIconnect (Webex Connect)",
        "description": "Submits app profiles to IMIconnect (Webex Connect) and waits until they exist.",
        "integrations": [
            {
                "integration-name": "IMIconnect",
                "external-doc-url": "https://docs.webexconnect.io/",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": "IMIconnect", "python-modules": ["airflow_imiconnect.hooks"]}],
        "operators": [{"integration-name": "IMIconnect", "python-modules": ["airflow_imiconnect.operators"]}],
        "sensors": [{"integration-name": "IMIconnect", "python-modules": ["airflow_imiconnect.sensors"]}],
        "triggers": [{"integration-name": "IMIconnect", "python-modules": ["airflow_imiconnect.triggers"]}],
        "task-decorators": [{"name": "imiconnect", "class-name": "airflow_imiconnect.decorators.imiconnect_task"}],
        "connection-types": [
            {
                "connection-type": "imiconnect",
                "hook-class-name": "airflow_imiconnect.hooks.IMIconnectHook",
                "hook-name": "IMIconnect (Webex Connect)",
                "ui-field-behaviour": standard_fields(),
                "conn-fields": extra_fields(),
            }
        ],
    }


def standard_fields() -> dict[str, object]:
    """Return how the form presents the fields that every connection has."""
    return {
        "hidden-fields": ["login", "port", "schema"],
        "relabeling": {"password": "Profile key", "host": "Host (overrides the region)"},
        "placeholders": {
            "password": "the client profile key, from the tenant's Tenant Settings",
            "host": "leave empty to use the region (under Extra Fields)",
        },
    }


def extra_fields() -> dict[str, dict[str, object]]:
    """Return the form's fields that are stored in the connection's extra."""
    return {
        "region": {
            "label": "Region",
            "description": "Compare the address where you log in: after your tenant's name it ends like the host. "
            "For Singapore and Japan, enter the API host under Host instead. "
            "Without a region and a host, EMEA (legacy) is used.",
            "schema": {"type": ["string", "null"], "enum": [*_REGIONS], "values_display": {**_REGIONS}},
        },
        "app_id": {
            "label": "Default app",
            "description": "The app for tasks that do not set app_id, for example a_636035705699961900.",
            "schema": {"type": ["string", "null"]},
        },
        "requests_per_second": {
            "label": "Requests per second",
            "description": "The tenant's limit for the Profile API. Empty: as fast as the service responds.",
            "schema": {"type": ["number", "null"], "minimum": 0.01},
        },
        "timeout": {
            "label": "Timeout in seconds",
            "description": "How long to wait for each response. Empty: 30.",
            "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 86_400},
        },
    }
