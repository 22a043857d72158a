"""Feed-forward 3D reconstruction with four interchangeable flow formulations."""

__version__ = "0.1.0"
