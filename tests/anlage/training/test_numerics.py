from __future__ import annotations

import itertools

import pytest
import torch

from anlage.training.numerics import Purpose, is_out_of_memory, reproducible, reseed


def drawn(seed: int, purpose: Purpose, step: int) -> float:
    reseed(seed, purpose, step)
    return float(torch.rand(()))


def test_random_numbers_depend_on_seed_purpose_and_step_and_on_nothing_else() -> None:
    keys = list(itertools.product((0, 1, 2**21, 2**31 - 1), Purpose, (0, 1, 10**7)))
    numbers = [drawn(*key) for key in keys]
    assert len(set(numbers)) == len(keys)
    assert [drawn(*key) for key in keys] == numbers


def test_the_process_is_left_as_it_was() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with reproducible("cpu", 3):
        assert torch.get_num_threads() == 3
        assert torch.are_deterministic_algorithms_enabled()
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_a_real_lack_of_memory_is_known_from_other_errors() -> None:
    with pytest.raises(RuntimeError) as lack:
        torch.empty(10**15)
    assert is_out_of_memory(lack.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
