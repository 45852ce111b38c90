"""AT-RL's functions: by hand, and its partition against every other way to cut a small graph."""

from itertools import combinations

import pytest
import torch

from trainers.atrl import (
    AtrlConfig,
    atrl_weights,
    cluster_weights,
    connectivity,
    partition,
    second_vector,
)
from vaslab.errors import UsageError


def test_connectivity_by_hand():
    """One layer, two heads, two tokens: the system prompt's share is taken out, heads are averaged first."""
    visual = torch.tensor([[[0.2, 0.1], [0.4, 0.3]]])
    system = torch.tensor([[[0.5, 0.8], [0.3, 0.6]]])
    assert connectivity(visual, system).flatten().tolist() == pytest.approx([0.3 / 0.6, 0.2 / 0.3])


def test_a_token_that_looks_at_the_system_prompt_alone_has_a_number():
    assert connectivity(torch.zeros(1, 1, 1), torch.ones(1, 1, 1)).tolist() == [[0]]


def test_weights_by_hand():
    strength, labels = torch.tensor([0.1, 0.3, 0.8, 0.8]), torch.tensor([1, 1, 0, 0])
    # cluster means 0.2 and 0.8, of which the tokens' mean is 0.5
    assert cluster_weights(strength, labels, 1.0).tolist() == pytest.approx([0.4, 0.4, 1.6, 1.6])
    # squared: 0.04 and 0.64, mean 0.34
    wanted = [0.04 / 0.34] * 2 + [0.64 / 0.34] * 2
    assert cluster_weights(strength, labels, 2.0).tolist() == pytest.approx(wanted)
    assert cluster_weights(strength, labels, 0.0).tolist() == [1, 1, 1, 1]
    assert cluster_weights(torch.zeros(4), labels, 1.0).tolist() == [1, 1, 1, 1]


def planted(sizes, noise, seed=0):
    """Patterns of tokens that look in as many ways as there are sizes, shuffled; and who belongs together."""
    draw = torch.Generator().manual_seed(seed)
    ways = torch.eye(len(sizes)) + 0.2
    group = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    order = torch.randperm(len(group), generator=draw)
    patterns = ways[group] + noise * torch.rand(len(group), len(sizes), generator=draw)
    return patterns[order], group[order]


def cosines(patterns):
    unit = torch.nn.functional.normalize(patterns.double(), dim=-1)
    return unit @ unit.T


@pytest.mark.parametrize("seed", range(5))
def test_the_cut_is_the_smallest_of_all_balanced_ones(seed):
    patterns, group = planted([5, 5], 0.3, seed)
    labels, graph = partition(patterns, 2), cosines(patterns)

    def cut(chosen):
        inside = torch.zeros(10, dtype=torch.bool)
        inside[list(chosen)] = True
        return graph[inside][:, ~inside].sum().item()

    least = min(cut(chosen) for chosen in combinations(range(10), 5))
    assert cut(torch.nonzero(labels == 0).flatten().tolist()) == pytest.approx(least)
    assert len({(a, b) for a, b in zip(labels.tolist(), group.tolist(), strict=True)}) == 2


def test_the_vector_is_that_of_the_whole_graph():
    """Against the eigenvectors of the normalised adjacency itself, a matrix as long as the completion."""
    patterns = torch.rand(30, 6, generator=torch.Generator().manual_seed(0))
    graph = cosines(patterns)
    root = graph.sum(-1).rsqrt()
    values, vectors = torch.linalg.eigh(root[:, None] * graph * root)
    assert values[-1].item() == pytest.approx(1)
    wanted = vectors[:, -2] * root
    found = second_vector(patterns)
    assert torch.allclose(found / found.norm(), wanted / wanted.norm() * (found @ wanted).sign(), atol=1e-9)


@pytest.mark.parametrize("clusters", [2, 3, 4])
def test_planted_clusters_are_found(clusters):
    patterns, group = planted([6] * clusters, 0.1)
    labels = partition(patterns, clusters)
    assert len(set(zip(labels.tolist(), group.tolist(), strict=True))) == clusters


@pytest.mark.parametrize(("tokens", "clusters"), [(40, 8), (41, 8), (7, 3), (5, 8), (1, 8), (9, 1)])
def test_clusters_are_of_one_size(tokens, clusters):
    patterns = torch.rand(tokens, 4, generator=torch.Generator().manual_seed(1))
    sizes = partition(patterns, clusters).bincount()
    assert len(sizes) == min(tokens, clusters)
    assert sizes.max() - sizes.min() <= 1


def test_tokens_that_look_alike_are_weighed_alike():
    assert atrl_weights(torch.full((3, 2, 9), 0.2), torch.full((3, 2, 9), 0.5), AtrlConfig()).tolist() == (
        pytest.approx([1] * 9)
    )


def test_anchors_weigh_more_and_the_mean_is_one():
    """Five of forty tokens look at the picture in one layer; the cluster they make up weighs most."""
    draw = torch.Generator().manual_seed(3)
    visual = 0.05 + 0.01 * torch.rand(4, 2, 40, generator=draw)
    anchors = [3, 11, 12, 20, 31]
    visual[2][:, anchors] += 0.6
    weights = atrl_weights(visual, torch.full((4, 2, 40), 0.3), AtrlConfig())
    assert weights.mean().item() == pytest.approx(1)
    assert sorted(weights.argsort(descending=True)[:5].tolist()) == anchors
    assert len(weights.unique()) <= 8
    assert weights[anchors].unique().numel() == 1


def test_no_tokens_have_no_weights():
    assert atrl_weights(torch.zeros(2, 2, 0), torch.zeros(2, 2, 0), AtrlConfig()).shape == (0,)


@pytest.mark.parametrize("given", [{"clusters": 0}, {"sharpness": -1.0}, {"sharpness": float("nan")}])
def test_settings_that_no_training_can_have(given):
    with pytest.raises(UsageError, match="at least 1, and at least 0"):
        AtrlConfig(**given)
