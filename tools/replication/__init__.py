# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads from installed Synapse releases what their processes tell each other."""
