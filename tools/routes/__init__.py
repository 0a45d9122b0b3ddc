# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the route data that the collection ships from the servlet registries of installed Synapse releases."""
