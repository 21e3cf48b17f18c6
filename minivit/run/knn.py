"""The embeddings of a data set: as features, and to measure a model, with or without a head, by nearest neighbours."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..data import Split, load
from ..errors import ConfigError
from ..neighbours import neighbour_votes
from ..pictures import Features, embed_images
from ..preprocess import check_pixels
from ..train import Evaluation
from ..train.evaluate import judge
from .load import Run, reading_of


class Neighbours(NamedTuple):
    """How many images of a split get their class from their nearest neighbours among so many training images."""

    result: Evaluation
    split: Split
    class_names: Sequence[str]
    references: int


def embed_dataset(run: Run, data: str, threads: int = 1, progress: bool = False) -> Features:
    """The features of a data set's images: those to train on, then those to test with, called train/0, ..., test/0, ...
    Raises DataError, in one line, for data that do not fit the model."""
    dataset = load(data, reading_of(run, progress))
    splits = {"train": dataset.train, "test": dataset.test}
    for split in splits.values():
        check_pixels(split.images, run.model.config)
    features = [embed_images(run.model, split.images, threads, progress) for split in splits.values()]
    names = [f"{part}/{row}" for part, split in splits.items() for row in range(len(split.labels))]
    class_names = dataset.class_names or [str(label) for label in range(dataset.classes)]
    labels = np.concatenate([split.labels for split in splits.values()])
    return Features(np.concatenate(features), labels, np.array(names, np.str_), np.array(class_names, np.str_))


def neighbour_evaluation(
    run: Run, data: str, part: str, k: int, threads: int = 1, progress: bool = False
) -> Neighbours:
    """Classify the part "test" or "valid" of a data set by the `k` training images whose embeddings are nearest, as
    `neighbour_votes` does; the classes are those of the data, whatever the model predicts.

    Raises DataError, in one line, for data that do not fit the model; ConfigError for another part, for one without
    images, and for a k larger than the number of training images.
    """
    if part == "train":
        raise ConfigError(
            "--knn finds the neighbours of images among those of the training split: --split test or valid"
        )
    dataset = load(data, reading_of(run, progress))
    train, valid = dataset.split(run.settings.get("train", {}).get("validation"))
    split = dataset.test if part == "test" else valid
    if not len(split.labels):
        raise ConfigError(f"no images of {data} were held out for validation: choose another --split")
    for images in (train.images, split.images):
        check_pixels(images, run.model.config)
    references, queries = (embed_images(run.model, one.images, threads, progress) for one in (train, split))
    votes = neighbour_votes(references, train.labels, queries, dataset.classes, k)
    names = dataset.class_names or [str(label) for label in range(dataset.classes)]
    return Neighbours(judge(votes, split.labels), split, names, len(references))
