"""LTE synthesis of stellar spectra, 7100-8850 Angstrom: the program behind the embedded grid."""
