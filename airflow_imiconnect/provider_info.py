"""What Airflow asks of a provider, and the connection form. It imports nothing: Airflow reads it at every start."""

# What extra.region holds, and what a person reads in its place: the vendor's name and the host (contract 1).
_REGIONS = {
    "ca": "Canada (AWS): api.ca.webexconnect.io",
    "eu": "Ireland (AWS): api.eu.webexconnect.io",
    "uk": "London (AWS): api.uk.webexconnect.io",
    "us": "Oregon (AWS): api.us.webexconnect.io",
    "us1": "USA (Azure): api.us1.webexconnect.io",
    "in": "Mumbai (AWS): api.in.webexconnect.io",
    "au": "Sydney (AWS): api.au.webexconnect.io",
    "legacy-ca": "Canada, older: api.imiconnect.ca",
    "legacy-emea": "EMEA, older: api.imiconnect.io",
    "legacy-uk": "UK, older: api.imiconnect.eu",
    "legacy-us": "USA (AWS), older: api-us.imiconnect.io",
    "legacy-us-azure": "USA (Azure), older: api.imiconnect.us",
    "legacy-apac": "APAC, older: api.imiconnect.in",
    "legacy-other": "Other, older: api.imiconnect.com",
}


def get_provider_info() -> dict[str, object]:
    """Return the provider's description, its connection type and the form of that connection."""
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
    """Return what the form makes of the fields that every connection has."""
    return {
        "hidden-fields": ["login", "port", "schema"],
        "relabeling": {"password": "Profile key", "host": "Host (overrides the region)"},
        "placeholders": {
            "password": "the client profile key, from the tenant's Tenant Settings",
            "host": "leave empty to go by the region (Extra Fields)",
        },
    }


def extra_fields() -> dict[str, dict[str, object]]:
    """Return the fields that the form keeps in the connection's extra."""
    return {
        "region": {
            "label": "Region",
            "description": "Look at the address where you log in: behind your tenant's name it ends as the host does. "
            "Without region and host it is EMEA, older.",
            "schema": {"type": ["string", "null"], "enum": [*_REGIONS], "values_display": {**_REGIONS}},
        },
        "app_id": {
            "label": "Default app",
            "description": "The app that a task submits to when it names none, for example a_636035705699961900.",
            "schema": {"type": ["string", "null"]},
        },
        "requests_per_second": {
            "label": "Requests a second",
            "description": "The tenant's limit for the Profile API. Empty: as fast as it answers.",
            "schema": {"type": ["number", "null"], "minimum": 0.01},
        },
        "timeout": {
            "label": "Timeout in seconds",
            "description": "How long to wait for each answer. Empty: 30.",
            "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 86_400},
        },
    }
