"""Image encoders and image augmentations; images and feature maps are (..., height, width, channels) as in Flax."""
