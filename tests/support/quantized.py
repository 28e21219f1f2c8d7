"""Linear layers as quantization methods store them, and their ``quantization_config``; weights are zeros."""

from __future__ import annotations

import numpy as np

GROUP = 64


def zeros(*shape: int, dtype=np.int32) -> np.ndarray:
    return np.zeros(shape, dtype=dtype)


def plain(name, n, k):
    return {f"{name}.weight": zeros(n, k, dtype=np.float16)}


def gptq(bits=4, group=GROUP):
    def linear(name, n, k):
        g = k if group == -1 else group
        return {
            f"{name}.qweight": zeros(k * bits // 32, n),
            f"{name}.qzeros": zeros(-(-k // g), n * bits // 32),
            f"{name}.scales": zeros(-(-k // g), n, dtype=np.float16),
            f"{name}.g_idx": zeros(k),
        }

    return linear


def awq(name, n, k):
    return {
        f"{name}.qweight": zeros(k, n // 8),
        f"{name}.qzeros": zeros(k // GROUP, n // 8),
        f"{name}.scales": zeros(k // GROUP, n, dtype=np.float16),
    }


def packed(name, n, k):
    """compressed-tensors, pack-quantized, symmetric groups."""
    return {
        f"{name}.weight_packed": zeros(n, k // 8),
        f"{name}.weight_scale": zeros(n, k // GROUP, dtype=np.float16),
        f"{name}.weight_shape": zeros(2, dtype=np.int64),
    }


def packed_asymmetric(name, n, k):
    return {**packed(name, n, k), f"{name}.weight_zero_point": zeros(n // 8, k // GROUP)}


def int8(name, n, k):
    return {
        f"{name}.weight": zeros(n, k, dtype=np.int8),
        f"{name}.weight_scale": zeros(n, 1, dtype=np.float16),
    }


def bnb4(name, n, k):
    return {
        f"{name}.weight": zeros(n * k // 2, 1, dtype=np.uint8),
        f"{name}.weight.absmax": zeros(n * k // 64, dtype=np.float32),
        f"{name}.weight.quant_map": zeros(16, dtype=np.float32),
        f"{name}.weight.quant_state.bitsandbytes__nf4": zeros(80, dtype=np.uint8),
    }


def bnb8(name, n, k):
    return {f"{name}.weight": zeros(n, k, dtype=np.int8), f"{name}.SCB": zeros(n, dtype=np.float32)}


def bitnet(name, n, k):
    return {f"{name}.weight": zeros(n // 4, k, dtype=np.uint8), f"{name}.weight_scale": zeros(1, dtype=np.float16)}


def weights(**values):
    return {"num_bits": 4, "type": "int", "strategy": "group", "group_size": GROUP, "symmetric": True, **values}


def compressed(given, activations=None, **values):
    group = {"targets": ["Linear"], "weights": given, "input_activations": activations}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}, "ignore": ["lm_head"], **values}


CHANNEL = weights(num_bits=8, strategy="channel", group_size=None)
TOKEN = {"num_bits": 8, "type": "int", "strategy": "token", "dynamic": True, "symmetric": True}

#: Name → (linear layer, configuration, format of weights, of activations). Float types of 8 bits are written apart.
METHODS = {
    "gptq": (gptq(), {"quant_method": "gptq", "bits": 4, "group_size": GROUP}, "int4_asym_g64_z4", ""),
    "gptq3": (gptq(3), {"quant_method": "gptq", "bits": 3, "group_size": GROUP}, "int3_asym_g64_z3", ""),
    "gptq8": (gptq(8), {"quant_method": "gptq", "bits": 8, "group_size": GROUP}, "int8_asym_g64", ""),
    "awq": (awq, {"quant_method": "awq", "bits": 4, "group_size": GROUP}, "int4_asym_g64_z4", ""),
    "packed": (packed, compressed(weights()), "int4_g64", ""),
    "asymmetric": (packed_asymmetric, compressed(weights(symmetric=False)), "int4_asym_g64_z4", ""),
    "int8": (int8, compressed(CHANNEL, TOKEN), "int8_channel", "int8"),
    "nf4": (bnb4, {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, "nf4_g64_fp32", ""),
    "llm_int8": (bnb8, {"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8_channel_fp32", "llm_int8"),
    "bitnet": (bitnet, {"quant_method": "bitnet"}, "ternary_tensor", "int8"),
}
