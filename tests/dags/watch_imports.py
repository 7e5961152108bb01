"""
Import Python files and modules, and print as JSON what each of them opened, looked up or connected to meanwhile.

What Airflow and requests do for themselves when they are used first is not counted, and nor is reading code.
"""

import importlib.util
import json
import os
import sys
import sysconfig
from pathlib import Path

import airflow.providers.common.compat.sdk
import requests
from airflow.sdk import DAG, BaseHook, BaseOperator, BaseSensorOperator, Param

USED_BEFORE = (airflow.providers.common.compat.sdk, requests, BaseHook, BaseSensorOperator)
with DAG("used_before", schedule=None, params={"path": Param("", type="string")}):
    BaseOperator(task_id="used_before")

WATCHED = {
    "open",
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "sqlite3.connect",
    "subprocess.Popen",
}
CODE = (".py", ".pyc", ".so")
LIBRARIES = tuple({sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")})

seen: list[str] = []


def watch(event, args):
    if event in WATCHED and not (event == "open" and is_code(args[0])):
        seen.append(f"{event} {args[0] if event != 'socket.connect' else args[1]}")


def is_code(path):
    if isinstance(path, int):  # an open file descriptor: it was counted when it was opened
        return True
    text = os.path.realpath(os.fsdecode(path))
    return text.startswith(LIBRARIES) or text in sys.path or Path(text).suffix in CODE


def load(target):
    if not target.endswith(".py"):
        importlib.import_module(target)
        return
    spec = importlib.util.spec_from_file_location(Path(target).stem, target)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)


def main():
    sys.addaudithook(watch)
    found = {}
    for target in sys.argv[1:]:
        seen.clear()
        load(target)
        found[target] = list(seen)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
