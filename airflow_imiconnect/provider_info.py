"""What Airflow asks of a provider. It imports nothing: Airflow reads it at every start."""


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
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "port", "schema"],
                    "relabeling": {"password": "Profile key", "host": "Host (overrides the region)"},
                    "placeholders": {
                        "password": "the client profile key of Tenant Settings",
                        "host": "api.eu.webexconnect.io",
                    },
                },
                "conn-fields": {
                    "region": {
                        "label": "Region",
                        "description": "Follows the domain with which the tenant logs in.",
                        "schema": {
                            "type": ["string", "null"],
                            "enum": [
                                "ca",
                                "eu",
                                "uk",
                                "us",
                                "us1",
                                "in",
                                "au",
                                "legacy-ca",
                                "legacy-emea",
                                "legacy-uk",
                                "legacy-us",
                                "legacy-us-azure",
                                "legacy-apac",
                                "legacy-other",
                            ],
                        },
                    },
                    "app_id": {
                        "label": "Default app",
                        "description": "The app asset that a task submits to when it names none.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "requests_per_second": {
                        "label": "Requests a second",
                        "description": "The tenant's limit for the Profile API. Empty: as fast as it answers.",
                        "schema": {"type": ["number", "null"], "minimum": 0.01},
                    },
                    "timeout": {
                        "label": "Timeout in seconds",
                        "description": "How long to wait for an answer. Empty: 30.",
                        "schema": {"type": ["number", "null"], "minimum": 1},
                    },
                },
            }
        ],
    }
