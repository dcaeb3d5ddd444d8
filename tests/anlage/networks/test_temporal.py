"""The network over time: any length, gaps, and one evaluation for each sample."""

from __future__ import annotations

import pytest
import torch

from anlage.networks.temporal import TemporalEnsemble, TemporalNetwork, _sliding_max, _sliding_sum


@pytest.fixture
def network():
    torch.manual_seed(0)
    return TemporalNetwork(1, 1, stride=5, dilations=(1, 2, 1)).eval()


def test_it_is_small():
    network = TemporalNetwork(3, 3, ends=True, dilations=(1, 2, 4, 8, 16, 1))
    assert 35_000 < sum(p.numel() for p in network.parameters()) < 60_000


def test_what_lies_beyond_a_track_changes_nothing():
    torch.manual_seed(0)
    network = TemporalNetwork(2, 3, ends=True, dilations=(1, 2, 4)).eval()
    signals, known = torch.randn(1, 2, 60), torch.ones(1, 2, 60)
    known[..., 40:] = 0
    other = signals.clone()
    other[..., 40:] = 99.0
    a, b = network(signals, known), network(other, known)
    assert torch.equal(a.track, b.track)
    longer = network(torch.nn.functional.pad(signals, (0, 30)), torch.nn.functional.pad(known, (0, 30)))
    torch.testing.assert_close(longer.track, a.track)
    torch.testing.assert_close(longer.positions[:, :40], a.positions[:, :40])


def test_a_missing_sample_is_not_a_zero(network):
    signals = torch.randn(1, 1, 100)
    signals[..., 50] = 0
    gap = torch.ones(1, 1, 100)
    gap[..., 50] = 0
    assert not torch.allclose(network(signals, torch.ones(1, 1, 100)).track, network(signals, gap).track)


def test_sliding_tells_of_each_window_what_reading_it_alone_does(network):
    signals = torch.randn(1, 1, 2000)
    known = torch.ones_like(signals)
    window = 60  # positions, 300 samples
    with torch.inference_mode():
        along = network.slide(signals, known, window)
        assert along.shape == (1, 1, 400)
        # all that a window's middle can see lies inside: the same features, pooled over the same positions
        features = network._features(signals, known)[..., 100 : 100 + window]
        alone = network._read(network._pooled(features, torch.ones(1, 1, window)))
    torch.testing.assert_close(along[0, :, 100 + (window - 1) // 2], alone[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("window", [1, 2, 7, 16, 75])
def test_the_sliding_maximum_is_that_of_each_window(window):
    x = torch.randn(2, 3, 200)
    assert torch.equal(_sliding_max(x, window), x.unfold(2, window, 1).amax(-1))


def test_several_networks_learn_from_their_own_share_and_answer_by_their_mean():
    torch.manual_seed(0)
    members = [TemporalNetwork(1, 1, stride=5, dilations=(1, 2), dropout=0.0) for _ in range(3)]
    together = TemporalEnsemble(members)
    signals, known = torch.randn(6, 1, 100), torch.ones(6, 1, 100)
    learning = together.train()(signals, known)
    torch.testing.assert_close(learning.track[2:4], members[1](signals[2:4], known[2:4]).track)
    learning.track[2:4].sum().backward()
    for fold, member in enumerate(members):
        assert any(p.grad is not None and p.grad.any() for p in member.parameters()) == (fold == 1)
    together.eval()
    every = torch.stack([member(signals, known).track for member in members])
    torch.testing.assert_close(together(signals, known).track, every.mean(0))
    along = torch.stack([member.slide(signals, known, 8) for member in members])
    torch.testing.assert_close(together.slide(signals, known, 8), along.mean(0))


@pytest.mark.parametrize("window", [1, 2, 7, 16, 75, 200])
def test_the_sliding_sum_is_that_of_each_window(window):
    x = torch.randn(2, 3, 200)
    torch.testing.assert_close(_sliding_sum(x, window), x.unfold(2, window, 1).sum(-1), rtol=1e-5, atol=1e-5)
