"""The hands: the only room whose work leaves traces in the world.

`open_run` decides whether to begin, resume or refuse; `Orchestrator` drives the packages; `UvSteps` builds,
publishes and verifies one package, against the `Index` that `choose_index` found.
"""

from releasekit.pipeline.index import Index, choose_index
from releasekit.pipeline.orchestrator import Orchestrator
from releasekit.pipeline.resume import declare, is_finished, open_run, plan_changes, set_aside
from releasekit.pipeline.steps import Steps, UvSteps

__all__ = [
    "Index",
    "Orchestrator",
    "Steps",
    "UvSteps",
    "choose_index",
    "declare",
    "is_finished",
    "open_run",
    "plan_changes",
    "set_aside",
]
