"""Train runs on two devices, one after the other: their keys. Each device's process is started with this command."""

import sys

from harness.paths import project_root
from harness.pipeline.training.train import train
from harness.specs import Registry
from harness.specs.pairing import parse_key
from tests.pipeline.tiny import silent

for key in sys.argv[1:]:
    train(Registry.load(project_root()).checked(), parse_key(key), silent, devices=2)
