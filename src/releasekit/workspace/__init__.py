"""The input: which packages there are, their versions, and who requires whom.

What counts as a member is uv's to say, so this room follows uv: `globs` has its pattern language, `discover` its rules
for members, `pyproject` reads one file, `backend` says what builds it and `uv_lock` the lock, `requirements` says what
a member asks for and `knowledge` which of the two files is believed, `edges` and `graph` order the packages, `indexes`
has where they can go, `load` puts it together, `notes` says what is worth knowing besides, and `select` leaves out what
is not wanted.
"""

from releasekit.workspace.indexes import Index
from releasekit.workspace.load import Package, Workspace, directories_of, is_left_out, load_workspace
from releasekit.workspace.notes import Note, NoteKind, log_notes
from releasekit.workspace.select import Selection, canonical_pattern, select

__all__ = [
    "Index",
    "Note",
    "NoteKind",
    "Package",
    "Selection",
    "Workspace",
    "canonical_pattern",
    "directories_of",
    "is_left_out",
    "load_workspace",
    "log_notes",
    "select",
]
