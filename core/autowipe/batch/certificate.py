"""The certificate of a cluster: one PEM file with key and certificate, which every machine of it has a copy of.

Scheduler, workers and batches each show it and accept no other, so it is at once the cluster's password.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .. import ledger
from ..errors import JobError


def default() -> str:
    """Where this user's cluster has it, unless another file is named."""
    return str(ledger.state_folder() / "farm.pem")


def make(path: str) -> None:
    """Writes a new certificate that only the user may read. Raises JobError where the file exists."""
    made = _security().temporary()
    text = str(made.tls_client_key) + str(made.tls_client_cert)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as err:
        raise JobError(
            f"{path} exists already", code="output-exists", hint="Use it, or name another file; all machines share one."
        ) from err
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)


def security(path: str) -> Any:
    """What Dask needs to use it. Raises JobError where the file is missing."""
    if not os.path.isfile(path):
        raise JobError(
            f"the cluster's certificate {path} does not exist",
            code="certificate",
            hint="Copy it from the scheduler's machine, or name it with --certificate.",
        )
    roles = {f"tls_{role}_{part}": path for role in ("client", "scheduler", "worker") for part in ("cert", "key")}
    return _security()(tls_ca_file=path, require_encryption=True, **roles)


def _security() -> Any:
    """Dask's class. Raises JobError where the part of the installation that shares work is missing."""
    try:
        from distributed.security import Security
    except ImportError as err:
        raise JobError(
            "this installation cannot share work between machines",
            code="farm-missing",
            hint="Run: python3 install.py --farm",
        ) from err
    return Security
