import equibatch


def test_the_version_is_that_of_the_workspace():
    assert equibatch.__version__.count(".") == 2
