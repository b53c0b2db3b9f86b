"""The whole experiment, wall clock, in fastai: ResNet34 from random weights at 224x224 in batches of 16, balanced: four epochs of the head and the batch
norms, then two of everything, with validation after each. `tests/torch_step.py` runs it by turns with `client train` on the same files.

fastai's own parts as its documentation has them: `aug_transforms`, `vision_learner`, `fit_one_cycle`, a DataLoader with as many workers as threads. To draw
classes equally often, files of rare ones stand several times in the list of training files. Prints the seconds from the learner to the end of the training:
neither imports nor finding the files count.
"""

import argparse
import collections
import itertools
import json
import pathlib
import time

# Epochs and rates of both stages, and images per epoch of each class, as many as the largest class has.
STAGES = ((4, "3e-3"), (2, "1e-5..1e-2"))


def experiment_file(path):
    """Writes the same as a file for `client train --experiment`."""
    head, everything = (f'[[stage]]\nepochs = {epochs}\nmax-lr = "{rate}"\nfreeze = {freeze}\n'
                        for (epochs, rate), freeze in zip(STAGES, ('"but-norms"', "false")))
    path.write_text(f'balance = "oversample"\nsize = 224\nbatch-size = 16\n\n{head}\n{everything}')


def files(data, split):
    """Files by class."""
    found = collections.defaultdict(list)
    for path in sorted((data / split).glob("*/*.jpg")):
        found[path.parent.name].append(path)
    return found


def oversampled(by_class):
    largest = max(map(len, by_class.values()))
    return [path for paths in by_class.values() for path in itertools.islice(itertools.cycle(paths), largest)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="a folder with train/CLASS/*.jpg and valid/CLASS/*.jpg")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--layout", choices=("contiguous", "channels_last"), required=True)
    options = parser.parse_args()

    import torch
    from fastai.callback import channelslast  # noqa: F401  # adds Learner.to_channelslast
    from fastai.vision import all as fv

    torch.set_num_threads(options.threads)
    train, valid = oversampled(files(options.data, "train")), list(itertools.chain(*files(options.data, "valid").values()))
    held_out = set(valid)
    block = fv.DataBlock(
        blocks=(fv.ImageBlock, fv.CategoryBlock), get_items=lambda _: train + valid, get_y=fv.parent_label,
        splitter=fv.FuncSplitter(held_out.__contains__), item_tfms=fv.Resize(256), batch_tfms=[*fv.aug_transforms(size=224, max_rotate=25.0), fv.Normalize.from_stats(*fv.imagenet_stats)])
    loaders = block.dataloaders(options.data, bs=16, num_workers=options.threads)
    began = time.perf_counter()
    learner = fv.vision_learner(loaders, fv.resnet34, pretrained=False, metrics=[fv.error_rate, fv.BalancedAccuracy()])
    if options.layout == "channels_last":
        learner.to_channelslast(use_amp=False)
    learner.freeze()
    with learner.no_bar():
        learner.fit_one_cycle(STAGES[0][0], 3e-3)
        learner.unfreeze()
        learner.fit_one_cycle(STAGES[1][0], slice(1e-5, 1e-2))
    print(json.dumps({"seconds": time.perf_counter() - began, "images_per_epoch": len(train), "error_rate": float(learner.recorder.values[-1][2])}))


if __name__ == "__main__":
    main()
