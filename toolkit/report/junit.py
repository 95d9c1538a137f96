"""JUnit XML of a run: a test case per step, expectation of a scenario, wrong or inconclusive cell, pair of roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.report.model import by_role, tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import junitparser

    from toolkit.lab.timeline import Event
    from toolkit.render.proof import DeviceProof
    from toolkit.report.model import Cell, RunReport, Step


def junit_xml(report: RunReport) -> str:
    """The XML text. Wrong is a failure, inconclusive an error: nobody knows what happened there.

    Raises:
        InputError: a row of the matrix lacks a column.
    """
    import junitparser

    suites = junitparser.JUnitXml(_clean(report.title))
    steps = junitparser.TestSuite("steps")
    steps.add_testcases([_step_case(step) for step in report.steps])
    matrix = junitparser.TestSuite("matrix")
    groups = by_role(report)
    matrix.add_testcases([_pair_case(pair, cells) for pair, cells in groups.items()])
    matrix.add_testcases([_cell_case(cell) for cells in groups.values() for cell in cells if cell.bad])
    timeline = junitparser.TestSuite("timeline")
    timeline.add_testcases([_event_case(event) for event in report.timeline if event.kind == "expect" or not event.ok])
    for suite in (steps, timeline, matrix) if report.timeline else (steps, matrix):
        suites.add_testsuite(suite)
    _count(suites)
    return _text(suites)


def proofs_xml(proofs: Sequence[DeviceProof], citation: Callable[[str], str]) -> str:
    """The XML text of a proof: a test case per device, a failure for each witness, with the page lines it breaks."""
    import junitparser

    suites = junitparser.JUnitXml("verify")
    suite = junitparser.TestSuite("devices")
    for proof in proofs:
        case = junitparser.TestCase(_clean(proof.device), classname="verify")
        case.result = [
            junitparser.Failure(_clean("; ".join([str(one), *map(citation, one.requirements)])), one.kind.value)
            for one in proof.witnesses
        ]
        suite.add_testcase(case)
    suites.add_testsuite(suite)
    _count(suites)
    return _text(suites)


def _count(suites: Any) -> None:  # junitparser has annotations, but not on these two methods
    suites.update_statistics()


def _text(suites: Any) -> str:
    text = suites.tostring()
    return text.decode("utf-8") if isinstance(text, bytes) else str(text)


def write_junit(report: RunReport, path: Path) -> None:
    """Write the XML to a file, as UTF-8."""
    path.write_text(junit_xml(report), encoding="utf-8")


def _step_case(step: Step) -> junitparser.TestCase:
    import junitparser

    case = junitparser.TestCase(_clean(step.name), classname="step", time=round(step.seconds, 3))
    if not step.ok:
        case.result = [junitparser.Failure(_clean(step.detail) or "the step did not hold", "step")]
    elif step.detail:
        case.system_out = _clean(step.detail)
    return case


def _event_case(event: Event) -> junitparser.TestCase:
    import junitparser

    case = junitparser.TestCase(_clean(f"{event.at}: {event.what}"), classname="timeline")
    if not event.ok:
        case.result = [junitparser.Failure(_clean(event.seen) or "not seen", event.kind)]
    else:
        case.system_out = _clean(event.seen)
    return case


def _pair_case(pair: tuple[str, str], cells: tuple[Cell, ...]) -> junitparser.TestCase:
    import junitparser

    counts = tally(cells)
    case = junitparser.TestCase(_clean(f"{pair[0]} -> {pair[1]}"), classname="matrix.roles")
    case.system_out = ", ".join(f"{number} {name}" for name, number in counts.items())
    if counts["wrong"] or counts["inconclusive"]:
        message = f"{counts['wrong']} wrong, {counts['inconclusive']} inconclusive of {counts['probes']}"
        case.result = [junitparser.Failure(message, "roles")]
    return case


def _cell_case(cell: Cell) -> junitparser.TestCase:
    import junitparser

    case = junitparser.TestCase(_clean(f"{cell.source} -> {cell.destination} {cell.service}"), classname="matrix.cell")
    sides = f"intent {cell.intent or '-'}, model {cell.model or '-'}, expectation {cell.expectation or '-'}"
    message = _clean(f"{sides}, live {cell.live}; evidence: {cell.evidence or 'none'}")
    if cell.wrong:
        case.result = [junitparser.Failure(f"wrong: {_clean(cell.wrong)}; {message}", "wrong")]
    else:
        case.result = [junitparser.Error(message, "inconclusive")]
    return case


def _clean(text: str) -> str:
    """Text without the control characters that XML 1.0 cannot hold."""
    return "".join(sign if sign == "\n" or sign.isprintable() else " " for sign in text)
