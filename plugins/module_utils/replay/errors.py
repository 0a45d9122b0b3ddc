# SPDX-License-Identifier: GPL-3.0-or-later
"""The error of a replay."""

from __future__ import annotations


class ReplayError(Exception):
    """nginx refuses the configuration, or does not do what a replay needs. The message has nginx's own words."""


__all__ = ("ReplayError",)
