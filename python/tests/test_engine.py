"""The engine in process."""

import gc
import weakref

import equibatch


def test_loaders_of_one_folder_share_an_engine_until_the_last_one_is_gone(folder):
    def loader_of(split):
        return equibatch.Loader(folder, dataset="shared", split=split, batch_size=4, image_size=24)

    train, valid = loader_of("train"), loader_of("valid")
    list(train)
    engine = weakref.ref(train._opened())
    list(valid)
    assert valid._opened() is engine() is train._opened()
    del train
    gc.collect()
    assert engine() is not None
    del valid
    gc.collect()
    assert engine() is None
