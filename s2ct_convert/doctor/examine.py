"""All examinations of ``s2ct doctor``."""

from __future__ import annotations

from pathlib import Path

from ..record.api import record_id
from ..record.manifest import DEFAULT_RECORD
from .findings import Findings
from .machine import examine_machine
from .network import examine_network
from .place import examine_place
from .software import examine_software, examine_unpackers


def examine(
    folder: Path,
    *,
    offline: bool = False,
    record: str = DEFAULT_RECORD,
    base_url: str | None = None,
    user_agent: str | None = None,
) -> Findings:
    """Examine the software, a folder for stores, this machine and the network.

    Parameters
    ----------
    folder : Path
        An existing folder. Two small files are written to it and deleted.
    offline : bool
        Do not send the request to the service.
    record : str
        Id, DOI or URL of the record that is asked for.
    base_url : str, optional
        Root of the service; by default S2CT_ZENODO_URL, else https://zenodo.org.
    user_agent : str, optional

    Returns
    -------
    Findings
        Anything wrong is listed in its problems, not raised.

    Raises
    ------
    WrongUsage
        If there is no such folder, or `record` or `base_url` is invalid.
    """
    found = Findings()
    examine_software(found)
    examine_unpackers(found)
    examine_place(folder, found)
    examine_machine(found)
    examine_network(found, None if offline else record_id(record), base_url=base_url, user_agent=user_agent)
    return found
