"""Networks: a config beside each module; no loss, optimiser, logging or I/O of training inside."""
