"""One module per notebook: Config, prepare, train, evaluate -> DataFrames."""
