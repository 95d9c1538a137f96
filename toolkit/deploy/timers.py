"""When IOS may be asked to go back by itself: `configure terminal revert timer`.

When that timer runs out, the device replaces all that it runs by what it ran before, whoever has changed it meanwhile.
So the timer is used only where the device keeps an archive, no timer of somebody else is running, and nothing runs that
was not saved: what is not saved is somebody's work under way. A plan says which it was, and the same is asked again
right before the first line.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from toolkit.deploy.cli_session import terminal
from toolkit.errors import DeployError
from toolkit.platforms import get

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nornir.core.task import Result, Task

    from toolkit.deploy.target import Target
    from toolkit.platforms.base import ChangeSet

DRIVERS: Final = ("cisco_ios", "cisco_xe")
REVERTS: Final = re.compile(r"\A(configure terminal) revert timer (\d+)$", re.MULTILINE)
TIMER: Final = "show archive config rollback timer"
NO_TIMER: Final = "No Rollback Confirmed Change pending"
DIFFERENCES: Final = "show archive config differences nvram:startup-config system:running-config"
NO_DIFFERENCE: Final = "No changes were found"
CHANGED: Final = re.compile(r"^\s*([+-].*\S)", re.MULTILINE)


def choose_timers(target: Target, changes: Mapping[str, ChangeSet]) -> tuple[dict[str, ChangeSet], dict[str, str]]:
    """Changes without a timer where it could undo what somebody else did; and for each device with a choice, which.

    Raises:
        DeployError: somebody else's timer is running on a device, so that whatever is sent now would go with it.
        DeviceError: a device does not answer.
    """
    asked = [device for device, change in changes.items() if not change.is_empty and _has_timers(target, device)]
    reasons: Mapping[str, str] = target.run(asked, why_no_timer)
    chosen, notes = dict(changes), {}
    for device in asked:
        timer = REVERTS.match(changes[device].apply)
        if timer is None:
            notes[device] = "without a timer: the device keeps no archive"
        elif reasons[device]:
            notes[device] = f"without a timer: {reasons[device]}"
            chosen[device] = replace(changes[device], apply=REVERTS.sub(r"\1", changes[device].apply), confirm="")
        else:
            notes[device] = f"with a timer of {timer[2]} minutes: it keeps an archive, and nobody else changed anything"
    return chosen, notes


def check_timer(task: Task, text: str) -> None:
    """Ask again, right before the first line is sent; nothing is asked of systems without such timers.

    Raises:
        DeployError: somebody else's timer is running, or ours must not be used any more; nothing was sent.
        DeviceError: the device does not answer.
    """
    if get(str(task.host.platform)).netmiko_driver not in DRIVERS:
        return
    reason = why_no_timer(task).result
    if reason and REVERTS.match(text):
        raise DeployError(
            f"{task.host.name}: the plan counts on 'configure terminal revert timer', but {reason}; settle that, or "
            "plan again to go without a timer"
        )


def why_no_timer(task: Task) -> Result:
    """Nornir task: why a device must not be asked to go back by itself (`result.result`), empty where it may.

    Raises:
        DeployError: somebody else's timer is running already.
        DeviceError: the session breaks.
    """
    from nornir.core.task import Result

    with terminal(task, get(str(task.host.platform))) as prompt:
        pending = prompt.show(TIMER, judged=False)
        if "Timer" in pending:
            raise DeployError(
                f"{task.host.name} will go back by itself: somebody else has configured it with a revert timer, and "
                "what is sent now would go with that; wait until it is confirmed (configure confirm) or has run out"
            )
        differences = prompt.show(DIFFERENCES, judged=False)
    found = CHANGED.findall(differences)
    if NO_TIMER not in pending or not (found or NO_DIFFERENCE in differences):
        reason = f"it does not answer {TIMER!r} and {DIFFERENCES!r} as expected"
    elif found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        reason = f"somebody's change is not saved ({found[0]!r}{more}), and would go with it"
    else:
        reason = ""
    return Result(host=task.host, result=reason)


def _has_timers(target: Target, device: str) -> bool:
    return get(str(target.nornir.inventory.hosts[device].platform)).netmiko_driver in DRIVERS
