# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a role, as its variable ``__<role>_file_set`` says, without a task of the role.

A task for each role costs a run more time than all that the task does. So a run asks for the files of all roles of a
host at once; each role keeps its own variables, templates and files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.baremetal.synapse.plugins.module_utils._file_set import ARGUMENT_SPEC

from ..model.values import plain
from ..rendering.context import Context
from .file_sets import FileSet, assemble, check_modes
from .templates import Templates

ROLES = Path(__file__).resolve().parents[3] / "roles"


class RoleScope:
    """What a task of a role would see: its defaults, the variables of the host, and its own variables, in this order.

    Args:
        role: the name of the role.
        loader: Ansible's loader.
        templar: Ansible's templar.
        variables: those of the task that asks.
        more: variables that win over all others.
    """

    def __init__(
        self, role: str, loader: Any, templar: Any, variables: Mapping[str, Any], more: Mapping[str, Any] | None = None
    ) -> None:
        self.path = ROLES / role
        if not self.path.is_dir():
            raise AnsibleActionFail(f"roles is {role!r}: this collection has no such role.")
        self._loader = loader
        self.variables = {
            **self._read("defaults"),
            **variables,
            **self._read("vars"),
            **(more or {}),
            "role_path": str(self.path),
            "ansible_search_path": [str(self.path)],
        }
        self._templar = templar.copy_with_new_env(available_variables=self.variables)

    def _read(self, folder: str) -> dict[str, Any]:
        path = self.path / folder / "main.yml"
        return self._loader.load_from_file(str(path), trusted_as_template=True) or {} if path.is_file() else {}

    def _find_needle(self, dirname: str, needle: str) -> str:
        return str(self._loader.path_dwim_relative_stack([str(self.path)], dirname, needle))

    def value(self, expression: Any) -> Any:
        """Returns a variable's value with its templates evaluated, as plain data."""
        return plain(self._templar.template(expression))


def file_set_of(role: str, loader: Any, templar: Any, variables: Mapping[str, Any], context: Context) -> FileSet:
    """Returns the files of a role on the host of a task.

    Args:
        role: the name of the role.
        loader: Ansible's loader.
        templar: Ansible's templar.
        variables: those of the task.
        context: what the run does.

    Raises:
        AnsibleActionFail: the role has no variable ``__<role>_file_set``, or the module file_set would not take it.
    """
    scope = RoleScope(role, loader, templar, variables)
    name = f"__{role}_file_set"
    if name not in scope.variables:
        raise AnsibleActionFail(f"The role {role} has no variable {name}, which lists its files.")
    args = scope.value(scope.variables[name])
    if "role" in args:
        # The files of another role, which takes arguments.
        scope = RoleScope(args["role"], loader, templar, variables, args["vars"])
        args = scope.value(scope.variables[f"__{args['role']}_file_set"])
    if not args.pop("when", True):
        return FileSet()
    check_modes(args)
    validated = ArgumentSpecValidator(ARGUMENT_SPEC).validate(args)
    if validated.error_messages:
        raise AnsibleActionFail(f"{name}: {', '.join(validated.error_messages)}")
    parameters = validated.validated_parameters
    return assemble(parameters, Templates(scope, scope.variables, parameters["for_each"]), context)


__all__ = ("RoleScope", "file_set_of")
