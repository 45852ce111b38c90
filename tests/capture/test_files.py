"""Captures on disk come back as they were, or not at all."""

import json
import shutil
import warnings

import pytest
import xarray as xr

import vaslab
from vaslab.errors import MissingError, UsageError, VaslabError

pytestmark = pytest.mark.tiny


@pytest.fixture
def dataset(tiny, prompts):
    return vaslab.capture(tiny, prompts, patches=[(0, 1)], rows=True, item_ids=["a", "b/ü", "c"])


def test_round_trip_is_exact_and_uses_no_unstable_type(dataset, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = vaslab.save_capture(dataset, tmp_path / "x.zarr")
    back = vaslab.load_capture(path)
    assert back.identical(dataset)
    assert back["item"].dtype == object


def test_nothing_is_overwritten_unless_told(dataset, tmp_path):
    path = vaslab.save_capture(dataset, tmp_path / "x.zarr")
    with pytest.raises(UsageError, match="overwrite=True"):
        vaslab.save_capture(dataset, path)
    vaslab.save_capture(dataset.isel(item=[0, 1]).drop_dims(["row", "cell"]), path, overwrite=True)
    assert vaslab.load_capture(path).sizes["item"] == 2


def test_a_failed_write_leaves_nothing_under_the_name(dataset, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_zarr", full)
    with pytest.raises(OSError, match="No space"):
        vaslab.save_capture(dataset, tmp_path / "x.zarr")
    assert not (tmp_path / "x.zarr").exists()


def test_a_missing_chunk_is_named(dataset, tmp_path):
    """zarr would fill it with a default in silence."""
    path = vaslab.save_capture(dataset, tmp_path / "x.zarr")
    shutil.rmtree(path / "mass" / "c")
    with pytest.raises(VaslabError, match="mass differs from what was written"):
        vaslab.load_capture(path)


def test_a_missing_variable_is_named(dataset, tmp_path):
    path = vaslab.save_capture(dataset, tmp_path / "x.zarr")
    shutil.rmtree(path / "vas")
    with pytest.raises(VaslabError, match=r"vas is missing|cannot be read"):
        vaslab.load_capture(path)


def test_broken_metadata_and_other_formats_are_refused(dataset, tmp_path):
    path = vaslab.save_capture(dataset, tmp_path / "x.zarr")
    metadata = path / "zarr.json"
    told = json.loads(metadata.read_text())
    told["attributes"]["format"] = "vaslab-capture-0"
    metadata.write_text(json.dumps(told))
    with pytest.raises(VaslabError, match="vaslab-capture-0"):
        vaslab.load_capture(path)
    metadata.write_text("{")
    with pytest.raises(VaslabError, match="cannot be read"):
        vaslab.load_capture(path)
    with pytest.raises(MissingError, match="no capture at"):
        vaslab.load_capture(tmp_path / "nothing")
    with pytest.raises(UsageError, match="no capture"):
        vaslab.save_capture(xr.Dataset(), tmp_path / "y.zarr")
