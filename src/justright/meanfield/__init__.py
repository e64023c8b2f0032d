"""Mean-field theory of fully connected networks: length and correlation maps, fixed points, phases, critical lines.

`justright.phase` and `justright.critical` are the verbs; `justright.meanfield.plane.sweep` computes a plane of points.
"""

from __future__ import annotations
