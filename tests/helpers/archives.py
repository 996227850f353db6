"""Archives of tests, on every Python that the project runs on."""

import tarfile


def unpack(path, folder) -> None:
    """Unpacks an archive of this repository into a folder."""
    # Python 3.11 knows the filter from 3.11.4 on, and Debian 12 has 3.11.2.
    known = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(path) as archive:
        archive.extractall(folder, **known)
