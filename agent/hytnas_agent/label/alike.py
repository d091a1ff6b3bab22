"""Which results are attempts at the same process: of one board, in one context, measured alike."""

import msgspec

from hytnas_agent.records import MeasureSettings, Outcome, ProcessResult


def board_of(result: ProcessResult, /) -> tuple[str, str]:
    """The device id, and the fingerprint of the context, empty where the process did not get to tell."""
    return result.identity.device_id, result.context.fingerprint() if result.context else ""


def alike_but_for_deadline(settings: MeasureSettings, /) -> MeasureSettings:
    """The settings without the deadline, which changes nothing about a process that kept it."""
    return msgspec.structs.replace(settings, deadline_s=0.0)


def measured_with(result: ProcessResult, settings: MeasureSettings, /) -> bool:
    """Whether a result tells what one with these settings would.

    A deadline changes nothing about a process that kept it, nor about one that has missed a later one.
    """
    late = result.outcome in (Outcome.TIMEOUT, Outcome.THROTTLED)
    if late and result.settings.deadline_s < settings.deadline_s:
        return False
    return alike_but_for_deadline(result.settings) == alike_but_for_deadline(settings)
