"""Nornir tasks for the tests of runners: workers are other processes, so they import them from here."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from nornir.core.plugins.connections import ConnectionPluginRegister
from nornir.core.task import Result


class OddError(Exception):
    """Takes other arguments than those that it hands on."""

    def __init__(self, host, code):
        super().__init__(f"{host} says {code}")
        self.code = code


class LockedError(Exception):
    """Holds what cannot leave its process."""

    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


def numbers(task, factor=1):
    return Result(host=task.host, result=int(task.host.name[1:]) * factor, changed=True, diff=f"+{task.host.name}")


def inner(task, what):
    if task.host.name == "h3":
        raise OddError(task.host.name, 42)
    return Result(host=task.host, result=f"{what} {task.host.name} {task.host['where']}")


def outer(task, what):
    task.run(inner, what=what)
    task.run(numbers, name="twice", factor=2)
    return f"done {task.host.get('platform')}"


def writes(task):
    task.host["seen"] = [*task.host.get("seen", []), task.host.name]
    task.host.data.pop("old", None)
    return task.is_dry_run()


def keeps_a_lock(task):
    task.host["lock"] = threading.Lock()
    return "kept"


def fails(task):
    return Result(host=task.host, result="no", failed=True) if task.host.name == "h2" else "yes"


def raises_a_lock(task):
    raise LockedError(f"{task.host.name} is locked")


def returns_a_lock(task):
    return Result(host=task.host, result=threading.Lock(), changed=True)


def part_returns_a_lock(task):
    task.run(returns_a_lock, name="part")
    return "whole"


def sees_the_inventory(task):
    return sorted(task.nornir.inventory.hosts), task.host.groups[0].name, task.host.hostname


def runs_on_all(task):
    return {name: one[0].result for name, one in task.nornir.run(task=numbers).items()}


def where(task):
    return os.getpid()


def dies(task, folder):
    with (Path(folder) / task.host.name).open("a") as file:
        file.write("ran\n")
    if task.host.name == "h1":
        time.sleep(0.5)  # so that the others are ready to be run beside it
        os._exit(1)
    return "lives"


class Notebook:
    """A connection that writes down when it is opened and closed."""

    def open(self, hostname, extras=None, **_):
        self.file = Path(extras["file"])
        self.connection = self
        self.say("open")

    def close(self):
        self.say("close")

    def say(self, word):
        with self.file.open("a") as file:
            file.write(f"{word}\n")


def uses_a_connection(task, file):
    task.host.open_connection("notebook", task.nornir.config, hostname="x", extras={"file": f"{file}-{task.host.name}"})
    task.host.get_connection("notebook", task.nornir.config).say("use")
    return "used"


def register():
    ConnectionPluginRegister.register("notebook", Notebook)
