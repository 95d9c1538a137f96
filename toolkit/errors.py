"""Every error the toolkit raises on purpose, as one tree.

::

    ToolkitError                exit 1
    ├── InputError              exit 2   something a person wrote: a page, a spec, an inventory, arguments
    │   ├── PageError                    a document without a readable port table
    │   ├── SpecError                    a spec file, a requirement or a condition
    │   ├── SiteError                    inventory, site settings, bindings, topology
    │   │   └── NoPathError              no declared route leads from here to there
    │   ├── ConfigError                  a line of a device configuration that is not fully understood
    │   └── PolicyError                  a policy that cannot be enforced where it was asked for
    ├── ChangesPendingError     exit 3   a plan holds changes that were not sent
    ├── ProofError              exit 4   a proof, a probe or a drift check failed
    ├── DeployError             exit 1   a change that was refused or stopped
    │   ├── DeviceError                  a device that does not answer, refuses, or rejects a line
    │   └── LockedError                  somebody else is applying
    ├── BudgetError             exit 1   an exact analysis would take longer than was allowed
    └── LabError                exit 1   the lab cannot be built or reached
        ├── MissingProgramError          a program that is not installed; names its Debian package
        └── NamespaceError               the kernel or an administrator forbids namespaces; names the remedy

The exit code lives on the class, so that the command line needs no table of its own.
Each message names the object, the valid choices where there are any, and the next step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something stands; `line` counts from 1, None where only the file is known."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


class ToolkitError(Exception):
    """Base of all errors of the toolkit; `place` is printed in front of the message."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, place: Place | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place

    def __str__(self) -> str:
        return self.message if self.place is None else f"{self.place}: {self.message}"


class InputError(ToolkitError):
    """Something a person wrote cannot be used as it stands."""

    exit_code = 2


class PageError(InputError):
    """A document that holds no readable port table."""


class SpecError(InputError):
    """A spec file, one of its requirements or a condition is wrong."""


class SiteError(InputError):
    """The inventory, the site settings, a binding or the topology is wrong."""


class NoPathError(SiteError):
    """No declared route leads from a host to an address, as it stands or with something failed."""


class ConfigError(InputError):
    """A line of a device configuration is not fully understood; nothing is skipped."""


class PolicyError(InputError):
    """A policy cannot be enforced where, or how, it was asked for."""


class ChangesPendingError(ToolkitError):
    """A plan holds changes that have not been sent."""

    exit_code = 3


class ProofError(ToolkitError):
    """A proof, a probe or a drift check failed."""

    exit_code = 4


class DeployError(ToolkitError):
    """A change was refused or stopped."""


class DeviceError(DeployError):
    """A device does not answer, refuses, or rejects a line."""


class LockedError(DeployError):
    """Somebody else is applying a change."""


class BudgetError(ToolkitError):
    """An exact analysis needs more steps than it was allowed; nothing was guessed instead."""


class LabError(ToolkitError):
    """The lab cannot be built, reached or torn down."""


class MissingProgramError(LabError):
    """A program is not installed."""

    def __init__(self, program: str, package: str) -> None:
        super().__init__(f"program {program!r} is not installed; run: apt-get install {package}")
        self.program = program
        self.package = package


class NamespaceError(LabError):
    """The kernel or an administrator forbids the namespaces that a lab needs."""
