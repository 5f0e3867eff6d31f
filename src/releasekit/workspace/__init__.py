"""The input: which packages there are, their versions, and who requires whom.

What counts as a member is uv's to say, so this room follows uv: `globs` has its pattern language, `discover`
its rules for members, `pyproject` reads one file, `graph` orders the packages, `load` puts it together, and
`select` leaves out what is not wanted.
"""

from releasekit.workspace.load import Index, Package, Workspace, is_left_out, load_workspace
from releasekit.workspace.select import Selection, select

__all__ = ["Index", "Package", "Selection", "Workspace", "is_left_out", "load_workspace", "select"]
