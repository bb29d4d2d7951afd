"""The networks of the panel, each with a truth that does not use the diagnosis."""

from networks import bilinear, images, linear, noisy, penalties, perceptrons, sequences
from networks.case import REGISTRY

ROOMS = (linear, penalties, bilinear, noisy, perceptrons, images, sequences)
NAMES = [k for room in ROOMS for k, make in REGISTRY.items() if make.__module__ == room.__name__]
