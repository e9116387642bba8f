"""The wheel, built once for all tests of the folder."""

from pathlib import Path

import pytest

from release.project import build


@pytest.fixture(scope="package")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel as `make release-check` builds it; its sdist is beside it."""
    return build(tmp_path_factory.mktemp("wheel"))
