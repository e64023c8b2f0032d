"""The initializers: each scheme, or each close family of schemes, is a file that registers it in the catalogue.

`justright.initializers.base.INITIALIZERS` is the catalogue, and `justright.initializers.parsing.scheme` reads a scheme
as it is written: ``"he_normal"``, ``"truncated_normal(std=0.02, bound=2)"``.
"""

from __future__ import annotations
