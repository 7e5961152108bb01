"""Apache Airflow provider for IMIconnect (Webex Connect) app profiles."""

__version__ = "0.1.0"
