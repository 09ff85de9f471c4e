"""A file is replaced whole or not at all, and nothing is left beside it."""

import pytest

from work_units.whole_files import replacing


def test_a_file_is_replaced_at_a_good_end_and_stays_at_another(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("old")
    with pytest.raises(OSError, match="disk is full"), replacing(path) as half:
        half.write_text("ne")
        raise OSError("disk is full")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with replacing(path) as half:
        half.write_text("new")
        assert half.parent == tmp_path and path.read_text() == "old"
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_a_folder_in_its_place_is_an_error_and_stays(tmp_path):
    (tmp_path / "page.html").mkdir()
    with pytest.raises(OSError), replacing(tmp_path / "page.html") as half:
        half.write_text("new")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
