"""Records by every way in that is not a file; what is planted here stands in no source text that Airflow stores."""

from airflow.sdk import dag, task

from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator


def profiles(name, count=2):
    """Return records with a value that is searched for afterwards."""
    planted = f"planted-{name}"
    return [
        {"customerId": f"{name}{number}", "Attributes": {"status": "1", "name": planted}} for number in range(count)
    ]


def submits(dag_id):
    @task(show_return_value_in_logs=False)
    def rows():
        return profiles("xcom")

    @task(show_return_value_in_logs=False)
    def groups():
        return [profiles("one"), {"Records": profiles("two", 1)}]

    @dag(dag_id=dag_id, schedule=None, render_template_as_native_obj=dag_id.endswith("native"))
    def all_ways():
        given, grouped = rows(), groups()
        templated = [
            *profiles("literal", 1),
            {"customerId": "{{ 'lite' }}ral1", "Attributes": {"status": "{{ 2 - 1 }}"}},
        ]
        IMIconnectCreateAppProfileOperator(task_id="literal", records=templated)
        IMIconnectCreateAppProfileOperator(task_id="output", records=given, on_invalid="skip")
        given >> IMIconnectCreateAppProfileOperator(task_id="template", records="{{ ti.xcom_pull('rows') }}")
        IMIconnectCreateAppProfileOperator.partial(task_id="mapped").expand(records=grouped)

    return all_ways()


submits("stored_text")
submits("stored_native")
