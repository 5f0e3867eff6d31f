"""The pictures: the lifecycle from its table, a package's way through it, a run, the rooms from the source.

Every picture is text first, as DOT and as Mermaid; the same input always gives the same text. SVG and PNG are
made of the DOT by Graphviz. `python -m releasekit.diagrams diagrams` writes the ones that the repository keeps.
"""

from releasekit.diagrams.lifecycle import draw_lifecycle, lifecycle_dot, lifecycle_mermaid
from releasekit.diagrams.package import draw_package, package_dot, package_mermaid
from releasekit.diagrams.run import draw_run, run_dot, run_mermaid

__all__ = [
    "draw_lifecycle",
    "draw_package",
    "draw_run",
    "lifecycle_dot",
    "lifecycle_mermaid",
    "package_dot",
    "package_mermaid",
    "run_dot",
    "run_mermaid",
]
