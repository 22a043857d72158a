"""Put the weights of a finished pretrain stage into the code, where studies find them."""

from __future__ import annotations

import sys
from pathlib import Path

# The repository, not this folder, so that modules here shadow nothing.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.arguments import run_worker, split_arguments

HELP = """
Put the weights of a finished pretrain stage into the code, where every study with the same
pretraining settings finds them instead of training for itself.

  python experiments/ship.py stage=outputs/stages/pretrain-0123456789ab

Writes experiments/pretrained/<stage id>/{weights.safetensors, card.json}. To make the stage anew,
also where its weights are shipped already:

  python experiments/train.py runtime.shipped_weights=false steps.joint=0 output_dir=anew
"""
MOST_BYTES = 10_000_000
"""Of one file: the repository stays small."""


def main(arguments: list[str]) -> int:
    """Write both files."""
    from experiments.assembly import WEIGHTS
    from experiments.provenance import weights_digest
    from experiments.rundir import RunDirectory, read_status
    from experiments.shipped import CARD, PRETRAINED, is_shipped
    from experiments.shipped import WEIGHTS as SHIPPED
    from flow3r.errors import ConfigError, DataError
    from flow3r.files import read_json, write_json
    from flow3r.weights.files import read_weights, write_safetensors

    own, rest = split_arguments(arguments, ("stage",))
    if rest or not own:
        raise ConfigError(f"expected stage=<stage directory>, got {arguments}")
    directory = RunDirectory(Path(own["stage"]).resolve())
    content = directory.spec()
    if content["kind"] != "pretrain" or not directory.done:
        raise DataError(f"{directory.path} is no finished pretrain stage")
    if (directory.path / CARD).exists():
        raise DataError(f"{directory.path} has its weights from the code: nothing to ship")
    if is_shipped(content["id"]):
        raise DataError(f"{PRETRAINED / content['id']} is there already; delete it to replace it")
    weights = read_weights(directory.path / WEIGHTS)
    size = sum(tensor.nbytes for tensor in weights.values())
    if size > MOST_BYTES:
        raise DataError(f"{size} bytes of weights are too many for the code; at most {MOST_BYTES}")
    status = read_status(directory.path)
    card = {
        "schema": 1,
        "id": content["id"],
        "weights": weights_digest(weights),
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "steps": status["total_steps"],
        "train_seconds": status["train_seconds"],
        "made": status["finished"],
        "provenance": read_json(directory.path / "provenance.json"),
        "spec": content["spec"],
    }
    folder = PRETRAINED / content["id"]
    folder.mkdir(parents=True)
    write_safetensors(weights, folder / SHIPPED)
    write_json(folder / CARD, card)
    print(f"{folder}: {size} bytes")
    return 0


if __name__ == "__main__":
    run_worker(main, HELP)
