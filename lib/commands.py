"""How every command ends: 0, or one sentence on stderr and 1."""

import argparse
import math
import sys
from collections.abc import Callable

from lib.files import advised


def end(act: Callable[[], object]) -> int:
    """Run `act` and return the exit code; a problem that the user can mend is one sentence on stderr, never a traceback."""
    try:
        act()
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{advised(str(error))}\n")
        return 1
    except MemoryError as error:
        sys.stderr.write(f"Out of memory ({error or 'no size told'}): give it less data at a time, or a larger machine.\n")
        return 1
    return 0


def seed(text: str) -> int:
    """Read a random seed from the command line: a whole number of 0 or more."""
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2147483647")
    return int(text)


def factor(text: str) -> float:
    """Read a finite number of 0 or more from the command line."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number of 0 or more")
    return value
