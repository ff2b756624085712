"""Configurations and training of a shared-latent Noise2Noise network; the study on top of it is lib.studies.noise2noise."""
