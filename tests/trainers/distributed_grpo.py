"""One of two processes over gloo: a step of `avar grpo` with token credit, each with half of the answers."""

import sys
from pathlib import Path

import torch

from tests.trainers.chats import ASKED
from trainers.data.record import write_records
from trainers.grpo import AvarGRPOTrainer
from trainers.grpo_run import run_grpo
from trainers.runs import GrpoRun
from vaslab.organism.build import build_model, build_processor


def main(folder, credit):
    torch.set_num_threads(1)
    model, data = Path(folder) / "model", Path(folder) / "data"
    if not model.exists():  # the first call, alone
        processor = build_processor()
        build_model(processor, layers=2, heads=4, kv_heads=2, hidden=64).save_pretrained(model)
        processor.save_pretrained(model)
        write_records(ASKED * 2, data)
        return
    kept = []
    original = AvarGRPOTrainer._generate_and_score_completions

    def spied(self, inputs):
        out = original(self, inputs)
        kept.append((self, out["advantages"]))
        return out

    AvarGRPOTrainer._generate_and_score_completions = spied
    options = {"prompts": 2, "rollouts": 4, "per_device": 4, "max_new_tokens": 6, "max_steps": 1, "lr": 1e-3}
    options |= {"gated": False, "checkpointing": False, "grader": "exact", "credit": credit, "save_steps": 1}
    run_grpo(GrpoRun(str(model), str(data), str(Path(folder) / credit), **options))
    trainer, advantages = kept[0]
    assert len(advantages) == 4  # 2 prompts with 4 answers, over two processes
    plain = torch.tensor(list(trainer._logs["advantages"]))
    rank = trainer.accelerator.process_index
    own = plain[rank * 4 : rank * 4 + 4]
    # an answer's weight is its greatest token's; over both processes' answers its mean is 1
    weight = (advantages / own[:, None]).amax(1)
    mean = trainer.accelerator.gather(weight).mean().item()
    state = torch.cat([p.detach().flatten() for p in trainer.network.parameters()])
    both = trainer.accelerator.gather(state[None])
    assert torch.equal(both[0], both[1])
    print(f"rank {rank}: mean weight {mean:.4f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
