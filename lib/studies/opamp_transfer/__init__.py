"""Does an op-amp performance model of process A carry over to process B?"""

from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import open_lab, prepare

__all__ = ["Config", "open_lab", "prepare"]
