"""Unpacks photographs from packages into class folders that `server serve` reads. Nothing is installed; the images keep their licences.

ELPV: 2,624 electroluminescence photographs of solar cells in four grades of defects, from the Python package elpv-dataset (CC BY-NC-SA
4.0). Cells of a module may be cut from neighbouring wafers and then have the same pattern of grains. Polycrystalline cells with the same
pattern are kept on one side of the split; monocrystalline cells have no grains, and are assigned one by one.

Natural classes: the photographs among the stamps of Debian's tuxpaint-stamps-default (GPL-2) and in the activities of gcompris-qt-data
(public domain, CC0, CC BY and GPL-3+, listed image by image in the package). Of them also `birds-N`: N birds to learn from against 200
others, and the same 27 birds and all remaining others to test on; the N birds are drawn anew for each repeat.

    python tests/real/photographs.py --packages .tools/real/packages --out data/real
"""

import argparse
import hashlib
import io
import os
import pathlib
import random
import shutil
import struct
import tarfile
import zipfile

import numpy as np
from PIL import Image, ImageFilter

# Short side that photographs are scaled down to, as the server would.
SHORT_SIDE = 256
GRADES = {0: "0-functional", 1: "1-of-3", 2: "2-of-3", 3: "3-of-3"}
TEST_SHARE, FOLDS = 0.25, 5
# Correlation of the grain patterns of two cells: below 0.5 for strangers, above 0.8 for sisters.
SISTERS = 0.6
BIRDS, OTHERS, TEST_BIRDS, DRAWS = (5, 10, 20), 200, 27, 5

# Folders of stamps, without what is a drawing, a toy or another class.
STAMPS = {
    "birds": ["animals/birds"],
    "mammals": ["animals/mammals", "animals/mammals/*", "animals/marsupials"],
    "fish": ["animals/fish"],
    "reptiles-amphibians": ["animals/lizards", "animals/amphibians"],
    "insects": ["animals/insects"],
    "flowers": ["plants/flowers"],
    "trees": ["plants/trees"],
    "mushrooms": ["plants/mushrooms"],
    "fruit": ["food/fruit"],
    "vegetables": ["food/vegetables", "food/spices"],
    "nuts": ["food/nuts"],
    "tools": ["household/tools"],
    "monuments": ["town/monuments"],
    "planets": ["space/planets"],
    "instruments": ["hobbies/music/*"],
    "coins": ["symbols/money/us/coins"],
}
NO_STAMPS = {"lobster", "shrimp", "Brown_slug", "Woodlouse", "fly", "holly_leaves", "pinecone", "rambutan", "inukshuk-outline", "0_sun"}
DRAWN = {"cartoon", "toys", "plastic"}
MOVED_STAMPS = {"mushroom": "mushrooms"}
# Of an activity's images: all, or those named, by class.
ACTIVITIES = {
    "categorization": {"fish": "fishes/*", "monuments": "monuments/*", "tools": "tools/*"},
    "explore_monuments": {"monuments": "*"},
    "explore_farm_animals": {"birds": "chicken duck owl", "mammals": "dog cow cat horse sheep pig"},
    "explore_world_animals": {
        "birds": "scarlet_macaw", "reptiles-amphibians": "crocodile dragon chameleon",
        "mammals": "giraffe koala bison jaguar hedgehog kangaroo narwhal moose panda lemur polar_bear"},
    "erase": {
        "birds": "northern_harrier penguin swans kingfisher heron toucan gosling spoonbills", "reptiles-amphibians": "chamaeleon",
        "insects": "caterpillar butterfly bee",
        "mammals": "gorilla pika giraffe calf nubian_ibex camels macaque dolphin long_nosed_monkey flying_fox gibbon rhinoceros goat horse "
                   "alpaca cheetah meerkats kitten red_panda squirrel"},
    "solar_system": {"planets": "jupiter mercury mars saturn"},
}


def package(folder, pattern):
    found = sorted(folder.glob(pattern))
    if not found:
        raise SystemExit(f"{folder} has no {pattern}: download the package first (make real)")
    return found[-1]


def deb(path):
    """The files of a Debian package, as a tar archive."""
    data = path.read_bytes()
    at = 8  # ar: a magic, then members with headers of 60 bytes, at even offsets
    while at < len(data):
        name, size = data[at : at + 16].decode().strip(), int(data[at + 48 : at + 58])
        if name.startswith("data.tar"):
            return tarfile.open(fileobj=io.BytesIO(data[at + 60 : at + 60 + size]))
        at += 60 + size + size % 2
    raise SystemExit(f"{path} is not a Debian package")


def resources(data):
    """(path, content) of the files in a Qt resource bundle that are not compressed, as images are."""
    assert data[:4] == b"qres"
    version, tree, start, names = struct.unpack(">4I", data[4:20])
    size = 14 if version < 2 else 22

    def name(offset):
        (length,) = struct.unpack(">H", data[names + offset : names + offset + 2])
        return data[names + offset + 6 : names + offset + 6 + 2 * length].decode("utf-16-be")

    def walk(node, prefix):
        at = tree + node * size
        offset, flags = struct.unpack(">IH", data[at : at + 6])
        path = f"{prefix}/{name(offset)}" if node else ""
        if flags & 2:
            count, first = struct.unpack(">2I", data[at + 6 : at + 14])
            for child in range(first, first + count):
                yield from walk(child, path)
        elif not flags & 5:
            (offset,) = struct.unpack(">I", data[at + 10 : at + 14])
            (length,) = struct.unpack(">I", data[start + offset : start + offset + 4])
            yield path, data[start + offset + 4 : start + offset + 4 + length]

    return list(walk(0, ""))


def save(data, path):
    """A photograph in RGB, what is transparent as white, scaled down."""
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    flat = Image.new("RGB", image.size, "white")
    flat.paste(image, mask=image.getchannel("A"))
    scale = SHORT_SIDE / min(flat.size)
    if scale < 1:
        flat = flat.resize([round(side * scale) for side in flat.size], Image.Resampling.LANCZOS)
    path.parent.mkdir(parents=True, exist_ok=True)
    flat.save(path, quality=95)


def natural(packages, out):
    """The natural classes, one folder each."""
    folders = {folder: name for name, of in STAMPS.items() for folder in of}
    with deb(package(packages, "tuxpaint-stamps-default_*.deb")) as archive:
        for member in archive:
            path = pathlib.PurePosixPath(member.name.removeprefix("./usr/share/tuxpaint/stamps/"))
            if path.suffix != ".png" or path.stem.endswith("_mirror") or path.stem in NO_STAMPS or DRAWN & set(path.parts):
                continue
            parent = path.parent
            name = MOVED_STAMPS.get(path.stem) or folders.get(str(parent)) or folders.get(f"{parent.parent}/*")
            if name:
                save(archive.extractfile(member).read(), out / name / f"stamp-{path.stem}.jpg")
    with deb(package(packages, "gcompris-qt-data_*.deb")) as archive:
        for member in archive:
            activity = pathlib.PurePosixPath(member.name).stem
            if not member.name.endswith(".rcc") or activity not in ACTIVITIES:
                continue
            for path, data in resources(archive.extractfile(member).read()):
                path = pathlib.PurePosixPath(path)
                for name, wanted in ACTIVITIES[activity].items():
                    wanted = wanted.split()
                    if path.suffix == ".webp" and (path.stem in wanted or "*" in wanted or f"{path.parent.name}/*" in wanted):
                        save(data, out / name / f"{activity}-{path.stem}.jpg")


def link(paths, folder):
    folder.mkdir(parents=True)
    for path in paths:
        os.link(path, folder / f"{path.parent.name}-{path.name}")


def birds(photographs, out):
    """`birds-N/DRAW` for every N and draw: birds and others, and a folder `test` of both."""
    rank = lambda path: hashlib.sha256(path.name.encode()).digest()
    every = sorted(photographs.glob("*/*.jpg"), key=rank)
    rare = [path for path in every if path.parent.name == "birds"]
    others = [path for path in every if path.parent.name != "birds"]
    for count in BIRDS:
        for draw in range(1, DRAWS + 1):
            folder = out / f"birds-{count}" / str(draw)
            link(random.Random(draw).sample(rare[TEST_BIRDS:], count), folder / "birds")
            link(others[:OTHERS], folder / "others")
            link(rare[:TEST_BIRDS], folder / "test" / "birds")
            link(others[OTHERS:], folder / "test" / "others")


def grain(image):
    """The pattern of grains of a cell, of unit length: without brightness, bars and busbars."""
    small = lambda image: np.asarray(image.resize((64, 64), Image.Resampling.BOX), np.float32)[6:-6, 6:-6]
    pattern = small(image) - small(image.filter(ImageFilter.GaussianBlur(8)))
    pattern = pattern - pattern.mean(0) - pattern.mean(1, keepdims=True) + pattern.mean()
    pattern = pattern.clip(-3 * pattern.std(), 3 * pattern.std()).ravel()
    return (pattern - pattern.mean()) / np.linalg.norm(pattern - pattern.mean())


def groups(patterns):
    """For every pattern the smallest index that it is connected with by sisters."""
    alike = np.argwhere(np.triu(patterns @ patterns.T, 1) > SISTERS)
    root = list(range(len(patterns)))

    def find(index):
        while root[index] != index:
            root[index] = root[root[index]]
            index = root[index]
        return index

    for one, other in alike:
        one, other = sorted((find(one), find(other)))
        root[other] = one
    return [find(index) for index in range(len(patterns))]


def elpv(packages, out):
    """`elpv/GRADE` and `elpv/test/GRADE`, of the images as they are, and the same of `elpv-folds/K`: each image is tested in one of five."""
    with zipfile.ZipFile(package(packages, "elpv_dataset-*.whl")) as archive:
        rows = [line.split() for line in archive.read("elpv_dataset/data/labels.csv").decode().splitlines()]
        images = [archive.read(f"elpv_dataset/data/{path}") for path, _, _ in rows]
    poly = [index for index, row in enumerate(rows) if row[2] == "poly"]
    found = groups(np.stack([grain(Image.open(io.BytesIO(images[index])).convert("L")) for index in poly]))
    first = {index: poly[root] for index, root in zip(poly, found)}
    for index, (path, probability, kind) in enumerate(rows):
        key = rows[first.get(index, index)][0]
        share = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) / 2**32
        name = pathlib.Path(GRADES[round(float(probability) * 3)], f"{kind}-{pathlib.PurePosixPath(path).name}")
        first_copy = out / "elpv" / ("test" if share < TEST_SHARE else "") / name
        first_copy.parent.mkdir(parents=True, exist_ok=True)
        first_copy.write_bytes(images[index])
        for fold in range(1, FOLDS + 1):
            copy = out / "elpv-folds" / str(fold) / ("test" if int(share * FOLDS) == fold - 1 else "") / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            os.link(first_copy, copy)
    sizes = np.bincount(np.unique(found, return_inverse=True)[1])
    print(f"elpv: {len(poly)} polycrystalline cells in {len(sizes)} groups, the largest of {sizes.max()}")


def counts(folder):
    sizes = {path.name: len(list(path.iterdir())) for path in sorted(folder.iterdir()) if path.is_dir() and path.name != "test"}
    return f"{folder}: {sum(sizes.values())} images, " + ", ".join(f"{name} {size}" for name, size in sizes.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", required=True, type=pathlib.Path, help="folder of the downloaded packages")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    options = parser.parse_args()
    for name in ("natural", "elpv", "elpv-folds", *(f"birds-{count}" for count in BIRDS)):
        shutil.rmtree(options.out / name, ignore_errors=True)
    elpv(options.packages, options.out)
    natural(options.packages, options.out / "natural")
    birds(options.out / "natural", options.out)
    for folder in ("elpv", "elpv/test", "elpv-folds/1", "elpv-folds/1/test", "natural", "birds-5/1", "birds-5/1/test"):
        print(counts(options.out / folder))


if __name__ == "__main__":
    main()
