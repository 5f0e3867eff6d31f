"""The aggregate: one `PackageState` a package, and the `RunState` that holds them.

`package` is a machine's model with its `triggers`, `audience` who is told when it moves, `run` the aggregate with the
`questions` it answers, `graph` who waits for whom.
`records` is what the journal says, `snapshot` the state file's format, `files` which of the two is read.
"""

from releasekit.lifecycle import PackageStatus
from releasekit.state.audience import Transition
from releasekit.state.errors import no_run
from releasekit.state.files import journal_path, there_is_a_run
from releasekit.state.package import PackageState
from releasekit.state.run import STATE_FILENAME, RunState

__all__ = [
    "STATE_FILENAME",
    "PackageState",
    "PackageStatus",
    "RunState",
    "Transition",
    "journal_path",
    "no_run",
    "there_is_a_run",
]
