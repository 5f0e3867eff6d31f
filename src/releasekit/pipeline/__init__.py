"""The hands: the only room whose work leaves traces in the world.

`release` is the whole of it, and `forecast` says what it would do. `open_run` decides whether to begin, resume or
refuse; `Orchestrator` drives the packages; `IndexSteps` builds, publishes and verifies one package as its `Ecosystem`
has it, against an `Index`.
"""

from releasekit.pipeline.chosen import load_selected
from releasekit.pipeline.ecosystem import ecosystem_of
from releasekit.pipeline.forecast import STOPS, Action, Forecast, forecast
from releasekit.pipeline.orchestrator import Orchestrator
from releasekit.pipeline.release import Outcome, Request, release
from releasekit.pipeline.resume import declare, open_for_change, skip_complete

__all__ = [
    "STOPS",
    "Action",
    "Forecast",
    "Orchestrator",
    "Outcome",
    "Request",
    "declare",
    "ecosystem_of",
    "forecast",
    "load_selected",
    "open_for_change",
    "release",
    "skip_complete",
]
