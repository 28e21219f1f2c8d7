"""Workloads that are no neural network: search, byte GEMMs of residues, transforms as GEMMs; small CNNs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.spec.errors import SpecError, UsageError
from hwsim.workload import Gemm, Trace, load_workload, memory_footprint
from hwsim.workload.models.fft_conv import even_factors
from hwsim.workload.models.modular_gemm import modular_ops


def load(name: str, batch: int = 1, **keys: Any) -> Trace:
    return load_workload({"model": name, "batch": batch, "settings": keys})


# --- retrieval ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "factor"), [("float16", 2), ("float8", 4), ("int8", 4), ("binary", 32)])
def test_a_database_shrinks_with_its_precision(precision: str, factor: int) -> None:
    """float8 takes a quarter of float32 and with half of the components an eighth; bits take a 32nd."""

    def stored(**keys: Any) -> int:
        return memory_footprint(load("rag", vectors=10_000, dim=768, **keys), "fp16")["weight_bytes"]

    assert stored(precision="float32") == 10_000 * 768 * 4
    assert stored(precision="float32") == factor * stored(precision=precision)
    projected = stored(precision=precision, pca_dim=384) - (768 * 384 * 4 + 768 * 2)
    assert stored(precision="float32") == 2 * factor * projected


def test_search_is_one_product_with_all_vectors() -> None:
    trace = load("rag", batch=3, vectors=5000, dim=64, precision="int8")
    (search,) = trace.gemms
    assert (search.m, search.n, search.k) == (3, 5000, 64)
    assert (search.w_format, search.a_format, search.o_format) == ("int8", "int8", "int32")
    assert [op.op for op in trace.vector_ops] == ["quantize", "topk"]
    assert trace.meta["settings"] == {"vectors": 5000, "dim": 64, "precision": "int8"}
    projected = load("rag", batch=3, vectors=5000, dim=64, pca_dim=16)
    assert [(g.m, g.n, g.k) for g in projected.gemms] == [(3, 16, 64), (3, 5000, 16)]


# --- homomorphic encryption --------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(2, 2**31 - 1), st.integers(0, 2**32))
def test_a_product_of_bytes_is_the_modular_product(m: int, k: int, n: int, q: int, seed: int) -> None:
    """The GEMM of the trace, done in bytes: then shifted sums and one reduction give ``A·W mod q``."""
    rng = np.random.default_rng(seed)
    a, w = rng.integers(0, q, (m, k)), rng.integers(0, q, (k, n))
    gemm = next(op for op in modular_ops("x", m, n, k, 1) if isinstance(op, Gemm))
    low = (a[..., None] >> (8 * np.arange(4)) & 255).reshape(m, gemm.k)  # bytes of each residue
    wide = np.zeros((gemm.k, gemm.n), dtype=object)
    for row in range(k):
        for byte in range(4):
            entry = [int(value) * (1 << 8 * byte) % q for value in w[row]]
            for col in range(n):
                for part in range(4):
                    wide[4 * row + byte, 4 * col + part] = entry[col] >> 8 * part & 255
    sums = (low.astype(object) @ wide).reshape(m, n, 4)
    merged = sum(sums[..., part] << 8 * part for part in range(4))
    assert (merged % q == a.astype(object) @ w.astype(object) % q).all()
    assert gemm.macs == 16 * m * k * n


def test_a_transform_is_two_modular_products_per_limb() -> None:
    trace = load("cross-ntt", degree=2**12, limbs=5)
    assert [(g.m, g.k, g.n, g.batch) for g in trace.gemms] == [(64, 256, 256, 5), (64, 256, 256, 5)]
    assert trace.macs == 16 * 5 * 2**12 * (64 + 64)
    uneven = load("cross-ntt", batch=2, degree=2**12, limbs=5, columns=16)
    assert [(g.m, g.k // 4, g.n // 4) for g in uneven.gemms] == [(2 * 16, 256, 256), (2 * 256, 16, 16)]
    basis = load("cross-ntt", operation="basis_conversion", degree=2**12, limbs=5, new_limbs=3)
    assert [(g.m, g.k, g.n, g.batch) for g in basis.gemms] == [(2**12, 20, 12, 1)]
    assert [op.op for op in basis.vector_ops] == ["byte_merge", "barrett"]
    with pytest.raises(UsageError, match="'columns' 48 does not divide 'degree' 4096"):
        load("cross-ntt", degree=2**12, columns=48)


# --- transforms --------------------------------------------------------------------------------


@pytest.mark.parametrize("factors", [[4, 8], [8, 4, 2], [32]])
@pytest.mark.parametrize("batch", [1, 3])
def test_operations_are_16_n_times_the_sum_of_factors(factors: list[int], batch: int) -> None:
    trace = load("flash-fft-conv", batch=batch, length=int(np.prod(factors)), factors=factors, channels=7)
    assert 2 * trace.macs == 16 * int(np.prod(factors)) * sum(factors) * 7 * batch


def test_products_of_the_trace_are_the_transform() -> None:
    """Two factors: real GEMMs of the shapes of the trace, with twiddle factors between, against numpy's FFT."""
    n1, n2 = 4, 8
    first, second, *_ = load("flash-fft-conv", length=n1 * n2, factors=[n1, n2], channels=1).gemms
    x = np.random.default_rng(1).normal(size=n1 * n2) + 0j

    def product(gemm: Gemm, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        size = gemm.k // 2
        dft = np.exp(-2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size)
        real = np.block([[dft.real, dft.imag], [-dft.imag, dft.real]])
        packed = np.concatenate([rows.real, rows.imag], axis=1)
        assert (packed.shape, real.shape) == ((gemm.m, gemm.k), (gemm.k, gemm.n))
        out = packed @ real
        return out[:, :size] + 1j * out[:, size:]

    columns = product(first, x.reshape(n1, n2).T)  # n2 rows of n1
    twiddle = np.exp(-2j * np.pi * np.outer(np.arange(n2), np.arange(n1)) / (n1 * n2))
    rows = product(second, (columns * twiddle).T)  # n1 rows of n2
    np.testing.assert_allclose(rows.T.reshape(-1), np.fft.fft(x), atol=1e-9)


def test_factors_are_as_equal_as_powers_of_two_allow() -> None:
    assert even_factors(4096, 2) == (64, 64)
    assert even_factors(2**22, 4) == (64, 64, 32, 32)
    with pytest.raises(UsageError, match="'length' 1000 is no power of two"):
        load("flash-fft-conv", length=1000)


# --- microcontrollers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "macs", "keras", "averages"),
    [("resnet-8", 12_501_632, 78_666, 2 * 240), ("ds-cnn", 2_656_768, 24_908, 2 * 576)],
)
def test_networks_of_mlperf_tiny(name: str, macs: int, keras: int, averages: int) -> None:
    """12.5 and 2.7 M MACs; Keras's totals have two moving averages per normalised channel, which are no parameters."""
    trace = load_workload(name)
    assert trace.macs == macs
    assert trace.meta["parameters"] == keras - averages


# --- settings ----------------------------------------------------------------------------------


def test_settings_replace_keys_and_are_read_as_yaml() -> None:
    assert load("vit-base-16", image_size="384").macs == load("vit-base-16", image_size=384).macs
    assert load("vit-base-16", image_size=384).gemms[0].m == 24 * 24
    assert load("flash-fft-conv", length=64, factors="[8, 8]").gemms[0].k == 16
    with pytest.raises(UsageError, match=r"settings: vit has no key 'imagesize'; .*did you mean 'image_size'"):
        load("vit-base-16", imagesize=384)
    with pytest.raises((UsageError, SpecError), match="'image_size' must be a whole number"):
        load("vit-base-16", image_size="x")
