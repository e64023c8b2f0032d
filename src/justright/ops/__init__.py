"""The operators: what each one computes, its derivatives, and where it is not smooth.

`justright.ops.base.OPERATORS` is the catalogue; every other file registers one close family of operators in it.
`justright.ops.chains` finds the nonlinearities of a graph, written by name or out of smaller operators, and
`justright.ops.zones` says where a nonlinearity is flat or off.
"""

from __future__ import annotations
