"""Every interleaving that Hypothesis can think of: `decide_cluster` and `decide_simulation` say what must hold."""

import os

from decide_machine import DecisionMachine
from hypothesis import HealthCheck, settings

# `EXAMPLES=5000 pytest …` looks deeper, and elsewhere each time.
EXAMPLES = int(os.environ.get("EXAMPLES", "0"))

TestDecisionCore = DecisionMachine.TestCase
TestDecisionCore.settings = settings(
    max_examples=EXAMPLES or 120,
    stateful_step_count=50,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
