# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that the modules share."""

from __future__ import annotations


class ModuleDocFragment:
    """Author and attributes. A module adds C(details), or what it does differently."""

    DOCUMENTATION = r"""
author: The baremetal.synapse developers (@baremetal-synapse)
attributes:
  check_mode:
    description: Changes nothing and reports what would change.
    support: full
  diff_mode:
    description: Shows what changes, or would change.
    support: full
  platform:
    description: The platforms that it is made for.
    support: full
    platforms: debian
"""

    READ_ONLY = r"""
author: The baremetal.synapse developers (@baremetal-synapse)
attributes:
  check_mode:
    description: It never changes anything.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
  platform:
    description: The platforms that it is made for.
    support: full
    platforms: debian
"""
