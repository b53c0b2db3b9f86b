"""Batches as pictures."""

import base64
import re
import zlib

import equibatch
import numpy as np
import pytest


def loader_of(folder, **arguments):
    return equibatch.Loader(folder, batch_size=4, image_size=24, seed=2, **arguments)


def decoded(png):
    """The pixels of a PNG file without filters."""
    rows = zlib.decompress(png[png.index(b"IDAT") + 4 : png.index(b"IEND") - 8])
    return np.frombuffer(rows, np.uint8).reshape(24, 1 + 3 * 24)[:, 1:].reshape(24, 24, 3)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
def test_a_notebook_shows_the_images_and_their_classes(folder, layout, dtype):
    loader = loader_of(folder, layout=layout, dtype=dtype)
    page = loader._repr_html_()
    batch = next(iter(loader_of(folder, layout="nhwc")))
    captions = re.findall(r"<figcaption>(\w+)</figcaption>", page)
    assert captions == [loader.classes[label] for label in batch.labels.tolist()]
    shown = [decoded(base64.b64decode(data)) for data in re.findall(r"base64,([^\"]+)", page)]
    difference = np.abs(np.stack(shown).astype(int) - np.asarray(batch.images).astype(int)).max()
    assert difference <= (0 if dtype == "uint8" else 1)
    assert "Loader(" in page


def test_a_look_at_a_batch_changes_nothing(folder):
    loader, other = loader_of(folder), loader_of(folder)
    loader.show_batch()
    assert loader.state_dict() == other.state_dict()
    assert next(iter(loader)).sample_ids.tolist() == next(iter(other)).sample_ids.tolist()
    assert len(loader._grid(2).images) == 2


def test_matplotlib_draws_the_images(folder):
    pytest.importorskip("matplotlib")
    figure = loader_of(folder).show_batch(3)
    assert len(figure.axes) == 3
    assert {axes.get_title() for axes in figure.axes} <= {"birds", "flowers"}
