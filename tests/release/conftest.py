"""The wheel, built once for all tests of the folder."""

from pathlib import Path

import pytest

from release.artifacts import WHEEL, build, copy_source


@pytest.fixture(scope="package")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `make release-check` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    build(copy_source(folder / "source"), folder)
    return folder / WHEEL
