"""Short trainings on real images, for an accuracy label that can be had in seconds or in hours."""

from hytnas_host.training.data import ImageData
from hytnas_host.training.digits import load_digits_images
from hytnas_host.training.recipe import TrainingRecipe
from hytnas_host.training.recipes import load_recipe
from hytnas_host.training.sources import load_images
from hytnas_host.training.train import Training, train_network

__all__ = [
    "ImageData",
    "Training",
    "TrainingRecipe",
    "load_digits_images",
    "load_images",
    "load_recipe",
    "train_network",
]
