"""``hytnas-agent`` on a machine that nothing disturbs, run as a program.

Its probes hold no process back and find no runs disturbed, and no worker looks for the core's best speed. So
a test of what host and agent do together neither depends on what else this machine does nor waits for it.
What is done about a disturbance is tested beside the probes, the gate and the supervisor.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from hytnas_agent import connect
from hytnas_agent.cli import main
from hytnas_agent.paths import StateFolder

RUNTIMES_VARIABLE = "HYTNAS_TESTS_RUNTIMES"
"""Names a file in which agents of tests remember which runtimes work: one tries them, not each."""
COMMAND = (sys.executable, "-P", str(Path(__file__).resolve()))


def calm(
    set_attribute: Callable[[object, str, object], None] = setattr,
    set_variable: Callable[[str, str], None] = os.environ.__setitem__,
) -> None:
    """Let nothing disturb the agent of this process, and those that it starts.

    A test gives its monkeypatch's ``setattr`` and ``setenv``, so that this ends with it.
    """
    from hytnas_agent.device.probes import PROBES  # here: ``connect`` does without them
    from hytnas_agent.supervisor import CORE_SPEED_VARIABLE

    for probe in PROBES:
        set_attribute(type(probe), "hold", lambda *_: "")
        set_attribute(type(probe), "judge", lambda *_: "")
    if shared := os.environ.get(RUNTIMES_VARIABLE):
        set_attribute(StateFolder, "runtimes", property(lambda _: Path(shared)))
    set_variable(CORE_SPEED_VARIABLE, "off")
    set_attribute(connect, "PROGRAM", COMMAND)


if __name__ == "__main__":
    if "connect" in sys.argv:
        connect.PROGRAM = COMMAND  # all that it does beside that is to pass on what is said
    else:
        calm()
    sys.exit(main())
