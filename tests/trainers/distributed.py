"""One of two processes over gloo: guided gradients of a sharded or replicated model, against one process."""

import copy
import sys

import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from tests.trainers.chats import RECORDS, rows
from trainers.data.collate import SETS, Collator
from trainers.guidance import Guidance
from trainers.losses import AgtoConfig
from trainers.sets import Sets
from vaslab.organism.build import build_model, build_processor


def gradients(model, forward, batches, checkpointing):
    """Mean gradients over batches, through a forward that may be a wrapper's."""
    if checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    guidance = Guidance(model, AgtoConfig(alpha=2.0))
    with guidance.active():
        for batch in batches:
            inputs = {name: value for name, value in batch.items() if name not in SETS}
            with guidance.guiding(Sets(*(batch[name] for name in SETS))):
                loss = forward(**inputs, use_cache=False).loss
            (guidance.total(loss) / len(batches)).backward()
    return {name: p.grad for name, p in model.named_parameters()}


def main(kind):
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    processor = build_processor()
    plain = build_model(processor, layers=2, heads=4, kv_heads=2, hidden=64).train()
    batches = [Collator(processor)([row]) for row in rows(RECORDS[:2])]
    alone = copy.deepcopy(plain)
    wanted = gradients(alone, alone, batches, False)
    if kind == "fsdp2":
        layers = [*plain.model.language_model.layers, *plain.model.visual.blocks]
        for layer in layers:
            fully_shard(layer)
        fully_shard(plain)
        assert all(isinstance(p, DTensor) for p in plain.parameters())
        found = gradients(plain, plain, [batches[rank]], True)
        assert all(isinstance(gradient, DTensor) for gradient in found.values())
        found = {name: gradient.full_tensor() for name, gradient in found.items()}
    else:
        wrapped = DistributedDataParallel(plain)
        found = gradients(plain, wrapped, [batches[rank]], False)
    errors = [(found[name] - gradient).norm() / gradient.norm() for name, gradient in wanted.items()]
    worst = torch.stack(errors).max().item()  # NaN, should there be one
    print(f"rank {rank}: {len(found)} gradients, worst relative error {worst:.1e}", flush=True)
    assert worst < 1e-4
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
