"""Records of functions and of queries; what is planted here stands in no source text that Airflow stores."""

from airflow.sdk import dag, task

from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator


def profile(customer_id, **attributes):
    return {"customerId": customer_id, "Attributes": {"status": "1", "name": f"planted-{'function'}", **attributes}}


@dag(schedule=None)
def functions():
    @task.imiconnect(batch_size=2)
    def yielded(prefix, count, run_id=None, **context):
        """Yield records, of arguments, a template and the context."""
        for number in range(count):
            yield profile(f"{prefix}{number}", run=run_id, task=context["ti"].task_id)

    @task.imiconnect
    def returned() -> dict[str, list]:
        return {"Records": [profile("returned0"), profile("returned1")]}

    @task.imiconnect(customer_id_column="id", columns={"mail": "email"}, attributes={"status": 1}, null_values=["-"])
    def rows():
        yield {"id": 1, "mail": "a@example.com"}
        yield {"id": 2, "mail": "-"}

    @task
    def sizes():
        return [1, 2]

    @task.imiconnect(wait_for_completion=True, poll_interval=0.05, timeout=30)
    def mapped(size):
        return (profile(f"mapped{size}{number}") for number in range(size))

    done = yielded("{{ 'yiel' }}ded", 3)
    (
        IMIconnectCreateAppProfileOperator(
            task_id="after", records=[profile("{{ ti.xcom_pull('yielded')['records'] }}")]
        )
        << done
    )
    returned()
    rows()
    mapped.expand(size=sizes())


@dag(schedule=None, params={"least": 2})
def queries():
    common = {"sql_conn_id": "people", "attributes": {"status": "1"}}
    IMIconnectCreateAppProfileOperator(
        task_id="of_a_file", sql="people.sql", sql_parameters={"name": "{{ 'a' }}%"}, **common
    )
    IMIconnectCreateAppProfileOperator(
        task_id="of_a_text", sql="SELECT 'text' || id AS customerId FROM people WHERE id < {{ params.least }}", **common
    )
    IMIconnectCreateAppProfileOperator.partial(task_id="mapped", **common).expand_kwargs(
        [{"sql": "people.sql", "sql_parameters": {"name": "b%"}}, {"sql": "SELECT 'mapped' AS customerId"}]
    )
    IMIconnectCreateAppProfileOperator(
        task_id="like_a_file", records=[{"customerId": "not.sql", "Attributes": {"status": "1"}}], rejects_path="x.sql"
    )


functions()
queries()
