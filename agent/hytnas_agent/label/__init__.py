"""The label rule: which attempts count, when to stop measuring, what label and interval come out. Pure.

Everybody who makes a label, or has to know how one is made, takes the rule from here: the agent's ``measure``
command, a collection on the host, the store and the noise study. Nothing here reads a file or a clock.

Each of these words means one thing, in this package and wherever a label is spoken of:

- A *run* is one timed inference.
- An *attempt* is one fresh process of the operating system that measures a model once. It is one job with an
  id of its own, and its result is one ``ProcessResult``.
- A *process* of a label is what has to be measured in one fresh process. If something disturbs or breaks the
  attempt at it, another attempt follows, and the process *comes to* one of its attempts (`came_to`).
- A *replicate* is the number of a process among those of its model and pass: 0, 1, 2 and so on.
- A *label* is the median of the medians of a model's processes. It names the jobs that it is made of.
- A *measurement* is all of it: the label of a model, and the attempts at its processes.

Modules: ``attempts`` (what the attempts at a process come to, and which of them count), ``alike`` (which
results are attempts at the same process), ``stopping`` (which process is next, and when there are enough),
``intervals`` (the interval of process medians), ``aggregate`` (from processes to the label), ``plausible``
(which results and labels cannot be).
"""

from hytnas_agent.label.aggregate import MIN_OK_PROCESSES, aggregate, few_words, made_of
from hytnas_agent.label.alike import alike_but_for_deadline, board_of, measured_with
from hytnas_agent.label.attempts import (
    DISTURBED_ATTEMPTS,
    DISTURBED_RETRIES,
    MAX_DISCARDS,
    came_to,
    counting,
    ending,
    given_up,
    least_disturbed,
    may_be_discarded,
    measured_again,
    medians_ms,
    process_settled,
    retries_of,
    settled,
    well_timed,
)
from hytnas_agent.label.intervals import geometric_t_interval, t_quantile
from hytnas_agent.label.plausible import impossible_number, internal_label, plausible, plausible_label
from hytnas_agent.label.stopping import (
    DEFAULT_MAX_PROCESSES,
    DEFAULT_TARGET,
    MIN_ADAPTIVE,
    Decision,
    StoppingRule,
    next_replicate,
)

__all__ = [
    "DEFAULT_MAX_PROCESSES",
    "DEFAULT_TARGET",
    "DISTURBED_ATTEMPTS",
    "DISTURBED_RETRIES",
    "MAX_DISCARDS",
    "MIN_ADAPTIVE",
    "MIN_OK_PROCESSES",
    "Decision",
    "StoppingRule",
    "aggregate",
    "alike_but_for_deadline",
    "board_of",
    "came_to",
    "counting",
    "ending",
    "few_words",
    "geometric_t_interval",
    "given_up",
    "impossible_number",
    "internal_label",
    "least_disturbed",
    "made_of",
    "may_be_discarded",
    "measured_again",
    "measured_with",
    "medians_ms",
    "next_replicate",
    "plausible",
    "plausible_label",
    "process_settled",
    "retries_of",
    "settled",
    "t_quantile",
    "well_timed",
]
