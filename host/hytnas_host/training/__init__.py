"""Short trainings on small real images, for an accuracy label that can be had in seconds."""

from hytnas_host.training.data import ImageData, load_digits_images
from hytnas_host.training.recipe import TrainingRecipe
from hytnas_host.training.train import Training, train_network

__all__ = ["ImageData", "Training", "TrainingRecipe", "load_digits_images", "train_network"]
