"""What builds the data and the font that ship with lib; nothing here is needed at run time, and lib imports none of it."""
