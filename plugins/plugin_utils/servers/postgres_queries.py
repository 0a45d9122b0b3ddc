# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role postgres asks the server, as SQL. The answers are read by ``postgres_state``.

The queries run in one session, in this order: reading ``pg_file_settings`` marks in ``pg_settings`` what needs a
restart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from string import Template

from ..rendering.quoting import sql

NAMES_TO_COMPARE = ("max_connections", "port")
"""Settings that must come from our file: with another value Synapse cannot work."""

# The settings as the files have them, the one that counts last.
_FILES = Template("""\
SELECT name, setting, sourcefile, sourceline, error
FROM pg_file_settings
WHERE error IS NOT NULL OR lower(name) IN ($names)
ORDER BY seqno
""")

_STATE = Template("""\
WITH files AS MATERIALIZED (
  SELECT max((pg_stat_file(name, true)).modification) AS changed
  FROM (VALUES ($config_file), ($hba_file)) AS files(name)
), settled AS MATERIALIZED (
  -- Times of files are whole seconds: wait until the files are older than that, then the comparison is exact.
  SELECT changed, pg_sleep(greatest(0, 1.1 - extract(epoch FROM clock_timestamp() - changed))::float8) FROM files
)
SELECT
  coalesce(date_trunc('second', pg_conf_load_time()) <= changed, false) AS reload,
  (SELECT coalesce(json_agg(name), '[]') FROM pg_settings WHERE pending_restart) AS pending,
  (SELECT coalesce(json_agg(error), '[]') FROM pg_hba_file_rules WHERE error IS NOT NULL) AS hba_errors,
  current_setting('max_connections')::int AS max_connections,
  (SELECT json_build_object('encoding', pg_encoding_to_char(encoding), 'collate', datcollate, 'ctype', datctype,
                            'owner', pg_get_userbyid(datdba))
   FROM pg_database WHERE datname = $database) AS database,
  -- Of the password: how it was salted, and a digest of the verifier, which is no use for a login.
  (SELECT json_build_object(
            'restricted', rolcanlogin
              AND NOT (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls),
            'password', rolpassword IS NOT NULL,
            'salted', split_part(rolpassword, '$$', 2),
            'digest', encode(sha256(convert_to(rolpassword, 'UTF8')), 'hex'))
   FROM pg_authid WHERE rolname = $user) AS owner
FROM settled
""")

# In check mode the files are still the old ones, so what is wanted is compared here.
_FORECAST = Template("""\
SELECT coalesce(json_agg(name), '[]') AS pending
FROM pg_settings LEFT JOIN json_each_text($settings) AS wanted ON lower(key) = lower(name)
WHERE context = 'postmaster' AND CASE
  -- It goes back to its default when it leaves our file.
  WHEN value IS NULL THEN sourcefile = $config_file AND setting <> boot_val
  WHEN unit LIKE '%B' THEN pg_size_bytes(current_setting(name)) <> pg_size_bytes(value)
  WHEN vartype = 'bool' THEN setting::bool <> value::bool
  ELSE current_setting(name) <> value
END
""")


_AS_JSON = Template("""\
SELECT coalesce(jsonb_agg(rows), '[]') FROM (
$query) AS rows;
""")


def state_queries(*, config_file: str, hba_file: str, database: str, user: str) -> list[str]:
    """Returns the queries that compare the server with its files."""
    return [
        _FILES.substitute(names=", ".join(sql(name) for name in NAMES_TO_COMPARE)),
        _STATE.substitute(config_file=sql(config_file), hba_file=sql(hba_file), database=sql(database), user=sql(user)),
    ]


def forecast_query(settings: Mapping[str, int | str], *, config_file: str) -> str:
    """Returns the query for the settings that need a restart, where the files are not written yet."""
    return _FORECAST.substitute(settings=sql(json.dumps(settings)), config_file=sql(config_file))


def script(queries: Iterable[str]) -> str:
    """Returns the queries for psql, so that each prints its rows as one line of JSON."""
    return "".join(_AS_JSON.substitute(query=query) for query in queries)
