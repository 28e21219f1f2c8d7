"""What a person sees when a file is wrong: one screen that names the place, what was found and what is valid.

Every file is written from the short text here and given to the real command line. Words of the
messages are compared with line breaks folded, because long messages are wrapped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from hwsim.cli.main import run_command
from hwsim.spec.screen import HEIGHT, WIDTH

pytestmark = pytest.mark.usefixtures("folded")

ARCH = """\
name: small
technology: 28nm
clock: 500 MHz
array: {rows: 16, cols: 16, dataflow: weight_stationary}
pe: {family: float_mac, format: fp16}
memories:
  weights: {size: 64 KiB}
  activations: {size: 64 KiB}
  outputs: {size: 64 KiB}
dram: {preset: ddr4_2400}
"""

SWEEP = """\
name: s
base: arch.yaml
workloads:
  - {model: bert-base, seq_len: 128}
grid:
  array.rows: [16, 32]
  memories.weights.size: {geometric: [64 KiB, 256 KiB, 3]}
tie: {array.cols: array.rows}
constraints: [area_mm2 <= 12]
objectives: {energy_mj: min}
"""

HEADER = "layer,op,m,n,k,batch,repeat,w_format,a_format,o_format\n"
TRACE = f"{HEADER}q,gemm,2,3,4,1,1,,,\n"

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 100,
    "max_position_embeddings": 128,
}


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def arch(old: str, new: str) -> str:
    return changed(ARCH, old, new)


def sweep(old: str, new: str) -> str:
    return changed(SWEEP, old, new)


def config(**keys: object) -> str:
    return json.dumps({**CONFIG, **keys}, indent=1)


class Case(NamedTuple):
    """A broken file: its text, the place ``line:column`` that is named, if any, and essential words."""

    text: str | bytes
    place: str
    words: tuple[str, ...]


WEIGHTS = "weights: {size: 64 KiB}"
ONE_NAME = "name exactly one of model, config, trace"
FAMILIES = "valid: DiTTransformer2DModel, PixArtTransformer2DModel"

ARCHES = {
    # keys
    "unknown key": Case(ARCH + "colour: red\n", "11:1", ("unknown key 'colour'", "valid: array, chips, clock")),
    "misspelt key": Case(
        arch("technology:", "tehcnology:"), "2:1", ("unknown key 'tehcnology'", "did you mean 'technology'?")
    ),
    "misspelt inner key": Case(
        arch("dataflow:", "dataflwo:"), "4:29", ("array.dataflwo: unknown key", "valid: cols, dataflow, fold_overlap, issue, ragged, rows")
    ),
    "missing field": Case(arch("rows: 16, ", ""), "4:1", ("array: missing field 'rows'", "required: cols, rows")),
    "missing fields": Case("name: x\nclock: 1 GHz\n", "", ("missing fields", "'technology'", "'array'", "'pe'")),
    "duplicate key": Case(ARCH + "clock: 1 GHz\n", "11:1", ("key 'clock' is given twice", "first at f.yaml:3:1")),
    "duplicate inner key": Case(
        arch(WEIGHTS, "weights: {size: 64 KiB, size: 1 KiB}"), "7:27", ("memories.weights.size: key 'size'", "twice")
    ),
    "null as key": Case(ARCH + "~: 4\n", "11:1", ("unknown key null",)),
    "control characters in a key": Case(ARCH + '"\\e[31m\\nred": 4\n', "11:1", (r"unknown key '\x1b[31m\nred'",)),
    # units
    "wrong unit of a size": Case(
        arch(WEIGHTS, "weights: {size: 64 KHz}"), "7:19", ("'64 KHz' is not a size", "valid: B, KiB, MiB")
    ),
    "wrong case of a unit": Case(arch("500 MHz", "500 Mhz"), "3:8", ("'500 Mhz'", "did you mean 'MHz'?")),
    "bandwidth without per second": Case(
        arch("ddr4_2400", "ddr4_2400, bandwidth: 1 GB"), "10:38", ("'1 GB' is not a bandwidth", "did you mean 'GB/s'?")
    ),
    "banks with a bandwidth": Case(
        arch("ddr4_2400}", "ddr4_2400, banks: true, bandwidth: 10 GB/s}"),
        "10:34",
        ("dram.banks: takes the preset's own", "but bandwidth is given; leave out"),
    ),
    "latency without a unit": Case(
        ARCH + "chips: {count: 2, parallel: tensor, link_bandwidth: 1 GB/s, link_energy: 1 pJ/bit, link_latency: 40}\n",
        "11:98",
        ("chips.link_latency: 40 has no unit", "valid: ps, ns, us"),
    ),
    "a key without effect": Case(
        ARCH + "cores: {count: 2, split: m, link_bits: 8}\n", "11:", ("link_bits: has no effect without reduce: network",)
    ),
    "unit missing": Case(arch("500 MHz", "500"), "3:8", ("500 has no unit", "valid: Hz, kHz, MHz, GHz")),
    "number missing": Case(arch(WEIGHTS, "weights: {size: KiB}"), "7:19", ("'KiB' is not a size", "example 512 KiB")),
    "nothing after the colon": Case(arch("clock: 500 MHz", "clock:"), "3:7", ("null is not a frequency",)),
    # numbers
    "negative size": Case(arch(WEIGHTS, "weights: {size: -64 KiB}"), "7:19", ("'-64 KiB' must be > 0",)),
    "fraction of a byte": Case(arch(WEIGHTS, "weights: {size: 0.3 B}"), "7:19", ("not a whole number of bytes",)),
    "huge size": Case(arch(WEIGHTS, "weights: {size: 1e30 GiB}"), "7:19", ("too large for a size",)),
    "zero rows": Case(arch("rows: 16", "rows: 0"), "4:15", ("array.rows: must be at least 1, not 0",)),
    "too many rows": Case(arch("rows: 16", "rows: 100000"), "4:15", ("must be at most 65536, not 100000",)),
    "float rows": Case(arch("rows: 16", "rows: 16.5"), "4:15", ("must be an integer, not 16.5",)),
    "text for a number": Case(arch("rows: 16", "rows: many"), "4:15", ("must be an integer, not 'many'",)),
    "quoted number": Case(arch("rows: 16", "rows: '16'"), "4:15", ("not '16'", "remove the quotes")),
    "list for a number": Case(arch("rows: 16", "rows: [16, 32]"), "4:15", ("not a list of 2 items",)),
    "yes for a boolean": Case(
        arch(WEIGHTS, "weights: {size: 64 KiB, double_buffered: yes}"), "7:44", ("true or false, not 'yes'; write true",)
    ),
    "infinite bandwidth": Case(
        arch("ddr4_2400", "ddr4_2400, bandwidth: .inf"), "10:38", (".inf is not a bandwidth", "must be finite")
    ),
    "not a number": Case(arch("500 MHz", ".nan"), "3:8", (".nan is not a frequency", "must be finite")),
    "infinite rows": Case(arch("rows: 16", "rows: .inf"), "4:15", ("must be an integer, not .inf",)),
    # shapes
    "number for text": Case(arch("name: small", "name: 42"), "1:7", ("must be text, not 42; quote it",)),
    "text for a mapping": Case(
        arch("{preset: ddr4_2400}", "ddr4_2400"), "10:7", ("must be a mapping, not 'ddr4_2400'", "keys: access, address_map, background, bandwidth")
    ),
    "list for a mapping": Case(arch("{rows: 16, cols: 16, ", "[16, 16, {"), "4:8", ("this '[' is not closed",)),
    # names
    "unknown family": Case(arch("float_mac", "flaot_mac"), "5:14", ("'flaot_mac'", "did you mean 'float_mac'?")),
    "family missing": Case(arch("family: float_mac, ", ""), "5:5", ("a family is missing", "float_mac, int_mac")),
    "unknown PE option": Case(arch("fp16}", "fp16, lane: 4}"), "5:45", ("pe.lane", "no such option", "did you mean 'lanes'?")),
    "PE option out of range": Case(arch("fp16}", "fp16, lanes: 0}"), "5:", ("lanes", "from 1 to 1024, not 0")),
    "unknown format": Case(arch("fp16", "fp61"), "5:", ("unknown format 'fp61'", "did you mean 'fp16'?")),
    "format of impossible width": Case(arch("fp16", "fp8_e9m9"), "5:", ("fp8_e9m9: 1 + 9 + 9 bits are not 8",)),
    "format that the PE cannot compute": Case(
        arch("family: float_mac", "family: int_mac"), "5:", ("int_mac takes integer formats, not fp16",)
    ),
    "format of a run that the PE cannot compute": Case(
        ARCH + "formats: {weights: int4_g128}\n", "11:10", ("float_mac cannot compute int4_g128 × fp16",)
    ),
    "unknown technology": Case(arch("28nm", "29nm"), "2:13", ("unknown technology '29nm'", "did you mean '28nm'", "valid: 3nm, 5nm, 7nm")),
    "supply out of range": Case(arch("28nm", "{name: 28nm, vdd: 5 V}"), "2:13", ("vdd 5 V at 28 nm; valid: 0.72",)),
    "unknown dataflow": Case(
        arch("weight_stationary", "weigth_stationary"), "4:39", ("'weigth_stationary'", "did you mean 'weight_stationary'")
    ),
    "unknown DRAM": Case(arch("ddr4_2400", "ddr4_2401"), "10:16", ("'ddr4_2401'", "did you mean 'ddr4_2400'?")),
    "DRAM without a sourced energy": Case(
        arch("ddr4_2400", "lpddr5"), "10:", ("no source gives the energy of lpddr5; give it",)
    ),
    "unknown objective": Case(
        ARCH + "mapper: {objective: speed}\n", "11:21", ("must be 'edp', 'latency' or 'energy', not 'speed'",)
    ),
    # what cannot be built; the place of these comes with the name of the buffer in their message
    "port too wide for its buffer": Case(
        arch(WEIGHTS, "weights: {size: 1 KiB, port_bits: 65536}"), "", ("cannot have a port of 65536 bits", "at least")
    ),
    "array too wide for its buffer": Case(
        arch("rows: 16, cols: 16", "rows: 128, cols: 128").replace("outputs: {size: 64 KiB}", "outputs: {size: 1 KiB}"),
        "",
        ("cannot have a port of 4096 bits", "at least"),
    ),
    "clock faster than a register": Case(arch("500 MHz", "500 THz"), "3:8", ("is faster than one register",)),
    # bases
    "circular base": Case("base: other.yaml\nname: x\n", "", ("other.yaml:1:7", "circle: f.yaml -> other.yaml -> f.yaml")),
    "base of itself": Case("base: f.yaml\nname: x\n", "1:7", ("circle: f.yaml -> f.yaml",)),
    "missing base": Case(f"base: arhc.yaml\n{ARCH}", "1:7", ("'arhc.yaml': no such file", "did you mean 'arch.yaml'")),
    "base is a directory": Case(f"base: folder\n{ARCH}", "1:7", ("'folder': is a directory", "it holds inner.yaml")),
    "base is a number": Case(f"base: 3\n{ARCH}", "1:7", ("must be the path of a YAML file, not 3",)),
    "base with a NUL": Case(f'base: "a\\0b"\n{ARCH}', "1:7", (r"must be the path of a YAML file, not 'a\x00b'",)),
    # text that is no YAML
    "tab indentation": Case(arch(f"  {WEIGHTS}", f"\t{WEIGHTS}"), "7:1", ("indented with a tab", "with spaces")),
    "empty file": Case("", "1:1", ("file is empty", "expected 'key: value' lines")),
    "only comments": Case("# nothing\n# here\n", "1:1", ("file is empty",)),
    "list at top level": Case("- a\n- b\n", "1:1", ("the top level is a list of 2 items",)),
    "text at top level": Case("just words\n", "1:1", ("the top level is 'just words'",)),
    "binary file": Case(b"\x7fELF\x02\x01\x01\x00\x00", "1:8", ("binary file",)),
    "image": Case(b"\x89PNG\r\n\x1a\n\x00", "1:", ("binary file",)),
    "NUL byte": Case(ARCH + "description: a\0b\n", "11:15", ("byte 0x00 is no UTF-8 text",)),
    "control character": Case(ARCH + "description: a\x07b\n", "11:15", ("character U+0007 is not allowed",)),
    "UTF-16": Case(ARCH.encode("utf-16"), "1:1", ("UTF-16 text; save it as UTF-8",)),
    "UTF-16 without a mark": Case(ARCH.encode("utf-16-le"), "1:1", ("UTF-16 text; save it as UTF-8",)),
    "Latin-1": Case(f"{ARCH}description: größe\n".encode("latin-1"), "11:16", ("byte 0xf6 is no UTF-8 text",)),
    "billion laughs": Case(
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)),
        "7:4",
        ("aliases expand to more than 1,000,000 values",),
    ),
    "unclosed bracket": Case(
        arch("dataflow: weight_stationary}", "dataflow: weight_stationary"), "4:8", ("this '{' is not closed",)
    ),
    "unclosed quote": Case(arch("name: small", "name: 'small"), "1:7", ("this quote is never closed",)),
    "no space after the colon": Case(arch("clock: 500", "clock:500"), "3:1", ("with a space after the colon",)),
    "equals for a colon": Case(arch("clock: 500", "clock = 500"), "3:1", ("expected 'key: value'",)),
    "two documents": Case(f"{ARCH}---\n{ARCH}", "11:1", ("a second document starts here",)),
    "unknown alias": Case(arch(WEIGHTS, "weights: {size: *nope}"), "7:19", ("undefined alias 'nope'",)),
    "merge of a number": Case(f"{ARCH}<<: 3\n", "11:5", ("'<<' merges mappings",)),
    "merged unknown key": Case(f"{ARCH}mapper: &m {{speed: 1}}\nformats: {{<<: *m}}\n", "11:13", ("unknown key 'speed'",)),
    "unknown tag": Case(arch("name: small", "name: !!python/name:os.system x"), "1:7", ("remove it",)),
    "deep nesting": Case(arch("rows: 16", "rows: " + "[" * 5000 + "]" * 5000), "4:", ("nested too deeply",)),
    "nesting beyond the stack": Case(arch("rows: 16", "rows: " + "[" * 100_000), "4:", ("nested too deeply",)),
    "deep blocks": Case("".join(" " * i + "k:\n" for i in range(3000)), "101:101", ("nested too deeply",)),
    "very long line": Case(
        arch("{preset: ddr4_2400}", "{" + " " * 50_000 + "presett: ddr4_2400}"), "10:50008", ("did you mean 'preset'?",)
    ),
    "very long key": Case(f"{ARCH}{'k' * 1000}: 1\n", "11:1", ("unknown key 'kkk",)),
    "very long value": Case(arch("28nm", "x" * 100_000), "2:13", ("unknown technology", "valid: 3nm, 5nm, 7nm")),
    "very long number": Case(arch("rows: 16", "rows: " + "9" * 3000), "4:15", ("must be at most 65536",)),
    "endless number": Case(arch("rows: 16", "rows: " + "9" * 5000), "4:15", ("integer of 5000 digits is too long",)),
    "a thousand mistakes": Case(
        ARCH + "".join(f"clock: {i} GHz\n" for i in range(1000)), "11:1", ("given twice", "… and 993 more problems")
    ),
}  # fmt: skip

SWEEPS = {
    "unknown metric": Case(sweep("energy_mj", "enregy_mj"), "10:25", ("'enregy_mj'", "did you mean 'energy_mj'?")),
    "unknown direction": Case(sweep("mj: min", "mj: smallest"), "10:25", ("must be 'min' or 'max', not 'smallest'",)),
    "no objective": Case(sweep("{energy_mj: min}", "{}"), "10:13", ("at least 1 item long, not an empty mapping",)),
    "unknown variable": Case(sweep("area_mm2 <=", "aera_mm2 <="), "9:15", ("'aera_mm2'", "did you mean 'area_mm2'?")),
    "half a constraint": Case(sweep("<= 12", "<="), "9:15", ("'area_mm2 <=' is not an expression",)),
    "constraint without comparison": Case(sweep("area_mm2 <= 12", "area_mm2"), "9:15", ("write a comparison",)),
    "constraint that calls": Case(
        sweep("[area_mm2 <= 12]", "['__import__(\"os\").getcwd() > 0']"), "9:15", ("unknown function; valid: abs",)
    ),
    "unknown swept path": Case(
        sweep("array.rows: [16, 32]\n", "array.rwos: [16, 32]\n").replace("tie: {array.cols: array.rows}\n", ""),
        "6:16",
        ("array.rwos: unknown key 'rwos'", "did you mean 'rows'?"),
    ),
    "swept value out of range": Case(sweep("[16, 32]", "[16, 0]"), "6:20", ("array.rows: must be at least 1, not 0",)),
    "swept value of another unit": Case(
        sweep("{geometric: [64 KiB, 256 KiB, 3]}", "[64 KiB, 64 kHz]"), "7:35", ("'64 kHz' is not a size",)
    ),
    "swept PE of unknown family": Case(
        sweep("  array.rows", "  pe: [{family: float_mac, format: fp16}, {family: lmull, format: bf16}]\n  array.rows"),
        "6:43",
        ("'lmull'", "did you mean 'lmul'?"),
    ),
    "value twice": Case(sweep("[16, 32]", "[16, 16]"), "6:15", ("the value 16 stands twice",)),
    "no values": Case(sweep("[16, 32]", "[]"), "6:15", ("found no values",)),
    "one value without a list": Case(sweep("[16, 32]", "16"), "6:15", ("a list of values, or one of range",)),
    "unknown form": Case(sweep("geometric", "geomtric"), "7:26", ("did you mean 'geometric'?",)),
    "form of two values": Case(sweep("256 KiB, 3]", "256 KiB]"), "7:26", ("geometric: [first, last, count]",)),
    "endless range": Case(sweep("[16, 32]", "{range: [1, 1000000000, 1]}"), "6:", ("at most 100000",)),
    "unequal zip": Case(
        f"{SWEEP}zip: {{vector_unit.lanes: [8, 16], clock: [500 MHz]}}\n", "11:1", ("equally many values", "clock has 1")
    ),
    "swept twice": Case(f"{SWEEP}zip: {{array.rows: [8, 16]}}\n", "11:7", ("'array.rows' is swept twice",)),
    "tie to nothing": Case(
        sweep("cols: array.rows", "cols: array.rwos"), "8:19", ("'array.rwos' is not swept", "did you mean 'array.rows'?")
    ),
    "missing architecture": Case(sweep("arch.yaml", "arhc.yaml"), "2:7", ("no such file", "did you mean 'arch.yaml'?")),
    "no workloads": Case(sweep("  - {model: bert-base, seq_len: 128}\n", "").replace("workloads:", "workloads: []"), "3:12", ("workloads:", "at least")),
    "unknown model": Case(sweep("bert-base", "bret-base"), "4:13", ("'bret-base'", "did you mean 'bert-base'?")),
    "unknown key of a workload": Case(sweep("seq_len", "seqlen"), "4:", ("'seqlen'", "did you mean 'seq_len'?")),
    "phase that the model lacks": Case(sweep("seq_len: 128", "phase: decode"), "4:31", ("bert has no decode phase",)),
    "empty batch": Case(sweep("seq_len: 128", "batch: 0"), "4:31", ("batch: must be at least 1, not 0",)),
    "workload twice": Case(
        sweep("  - {model: bert-base, seq_len: 128}\n", "  - {model: bert-base, seq_len: 128}\n" * 2), "5:5", ("stands twice",)
    ),
    "broken trace": Case(sweep("{model: bert-base, seq_len: 128}", "{trace: broken.csv}"), "", ("broken.csv:2:8: m:",)),
    "unknown search": Case(f"{SWEEP}search: {{method: exhausted}}\n", "11:18", ("did you mean 'exhaustive'?",)),
    "unknown engine": Case(f"{SWEEP}engine: fats\n", "11:9", ("'fats'", "did you mean 'fast'?")),
    "no samples": Case(f"{SWEEP}latin_hypercube: {{samples: 0}}\n", "11:28", ("must be at least 1, not 0",)),
    "misspelt key": Case(sweep("objectives:", "objectvies:"), "10:1", ("did you mean 'objectives'?",)),
}  # fmt: skip

WORKLOADS = {
    "unknown model": Case("model: lama-2-7b\n", "1:8", ("unknown model 'lama-2-7b'", "did you mean 'llama-2-7b'?")),
    "misspelt key": Case("modle: gpt2\nphase: prefill\n", "1:1", ("unknown key 'modle'", "did you mean 'model'?")),
    "bad phase": Case("model: gpt2\nphase: prefil\n", "2:8", ("must be 'prefill', 'decode', ", "did you mean 'prefill'")),
    "phase that the model lacks": Case("model: resnet-50\nphase: decode\n", "2:8", ("resnet has no decode phase",)),
    "negative batch": Case("model: gpt2\nbatch: -1\n", "2:8", ("must be at least 1, not -1",)),
    "broken batch": Case("model: gpt2\nbatch: 1.5\n", "2:8", ("must be an integer, not 1.5",)),
    "huge batch": Case("model: gpt2\nbatch: 100000000000\n", "2:8", ("must be at most 1048576",)),
    "context of a prefill": Case("model: gpt2\ncontext: 10\n", "2:10", ("no meaning in prefill; use seq_len",)),
    "longer than the model": Case("model: bert-base\nseq_len: 9999\n", "2:10", ("512 learned positions",)),
    "nothing to run": Case("phase: prefill\nbatch: 2\n", "", (ONE_NAME,)),
    "two things to run": Case("model: gpt2\ntrace: trace.csv\n", "2:8", (ONE_NAME, "not model and trace")),
    "shaped trace": Case("trace: trace.csv\nbatch: 2\n", "2:8", ("a trace is fixed",)),
    "missing trace": Case("trace: tracce.csv\n", "1:8", ("'tracce.csv': no such file (did you mean 'trace.csv'?)",)),
    "trace is a directory": Case("trace: folder\n", "1:8", ("'folder': is a directory",)),
    "broken trace": Case("trace: broken.csv\n", "", ("broken.csv:2:8: m: must be a whole number",)),
    "missing config": Case("config: nothing.json\n", "1:9", ("'nothing.json': no such file",)),
    "unknown policy": Case("model: gpt2\npolicy: w4a61\n", "2:9", ("int61",)),
    "policy with a number": Case("model: gpt2\npolicy: {w_format: int8, a_format: 7}\n", "2:9", ("not 7",)),
    "override of nothing": Case(
        "model: gpt2\noverrides: [{match: fnn, w_format: int8}]\n", "2:12", ("'fnn' matches nothing", "did you mean 'ffn'?")
    ),
    "override without a name": Case(
        "model: gpt2\noverrides: [{mach: ffn, w_format: int8}]\n", "2:13", ("exactly one of match, layer, role",)
    ),
}  # fmt: skip

TRACES = {
    "missing column": Case(TRACE.replace("repeat,", ""), "1:1", ("missing column repeat", "required: layer, op, m")),
    "misspelt column": Case(TRACE.replace("repeat,", "repaet,"), "1:22", ("'repaet'", "did you mean 'repeat'?")),
    "column twice": Case(TRACE.replace("k,", "k,k,"), "1:16", ("column 'k' stands twice",)),
    "semicolons": Case(TRACE.replace(",", ";"), "1:6", ("separated by ';'; separate them by commas",)),
    "bad number": Case(TRACE.replace("gemm,2", "gemm,two"), "2:8", ("m: must be a whole number from 1", "not 'two'")),
    "float": Case(TRACE.replace("gemm,2", "gemm,2.0"), "2:8", ("must be a whole number", "not '2.0'")),
    "negative": Case(TRACE.replace("gemm,2", "gemm,-2"), "2:8", ("must be a whole number from 1", "not '-2'")),
    "zero": Case(TRACE.replace("gemm,2", "gemm,0"), "2:8", ("must be a whole number from 1", "not '0'")),
    "huge": Case(TRACE.replace("gemm,2", "gemm,9999999999999"), "2:8", ("to 1,000,000,000,000, not '9999999999999'",)),
    "huge product": Case(
        TRACE.replace("2,3,4", "1000000000,1000000000,1000000000"), "2:8", ("m × n × k is 1e+27", "at most 1e+16")
    ),
    "endless number": Case(TRACE.replace("gemm,2", f"gemm,{'9' * 5000}"), "2:8", ("must be a whole number",)),
    "unknown op": Case(TRACE.replace("gemm", "gem"), "2:3", ("unknown op 'gem'", "did you mean 'gemm'?")),
    "unknown format": Case(TRACE.replace("1,1,,", "1,1,itn8,"), "2:18", ("'itn8'", "did you mean 'int8'?")),
    "unknown source": Case(
        f"{HEADER.strip()},w_source\nq,gemm,2,3,4,1,1,,,,drma\n", "2:21", ("'drma'", "did you mean 'dram'?")
    ),
    "k of a vector operation": Case(TRACE.replace("gemm", "softmax"), "2:15", ("a vector operation has no k",)),
    "too few fields": Case(f"{HEADER}q,gemm,2,3\n", "2:1", ("4 fields, but the header names 10 columns",)),
    "open quote": Case(f'{HEADER}q,gemm,2,3,4,1,1,,,"\n', "2:1", ("quote at column 20 is never closed",)),
    "empty file": Case("", "", ("holds no operation", "layer,op,m,n,k")),
    "only a header": Case(HEADER, "", ("holds no operation",)),
    "binary": Case(b"\x00\x01\x02", "1:1", ("binary file",)),
    "UTF-16": Case(TRACE.encode("utf-16"), "1:1", ("save it as UTF-8",)),
    "a thousand bad rows": Case(
        HEADER + "q,gemm,two,3,4,1,1,,,\n" * 1000, "2:8", ("not 'two'", "… and 993 more problems")
    ),
    "very long row": Case(f"{HEADER}{'q' * 100_000},gemm,two,3,4,1,1,,,\n", "2:100007", ("not 'two'",)),
}  # fmt: skip

CONFIGS = {
    "missing fields": Case(
        config(hidden_size=None, vocab_size=None), "", ("'hidden_size' is missing", "'vocab_size' is missing", "llama needs it")
    ),
    "unknown architecture": Case(config(model_type="lama"), "2:16", ("'lama' is not supported", FAMILIES, "mean 'llama'?")),
    "no architecture": Case(config(model_type=None), "2:16", ("'model_type' is missing", FAMILIES)),
    "no config at all": Case('{"a": 1}', "", ("'model_type' is missing", FAMILIES)),
    "experts": Case(config(model_type="new", num_experts=8), "2:16", ("not modelled: its mixture of experts",)),
    "state space": Case(
        config(model_type="mamba"), "2:16", ("not modelled: state-space layers", "model.onnx", "python:FILE.py:FUNCTION", "GGUF")
    ),
    "like Llama": Case(config(model_type="new"), "2:16", ("if they are Llama's", "--set model_type=llama")),
    "unlike Llama": Case(
        config(model_type="new", hidden_size=None), "2:16", ("of a dense decoder's keys, hidden_size are missing",)
    ),
    "architectures alone": Case(
        config(model_type=None, architectures=["Qwen2MoeForCausalLM"]), "2:16", ("names Qwen2MoeForCausalLM: is it 'qwen2_moe'?",)
    ),
    "zero heads": Case(config(num_attention_heads=0), "6:25", ("must be a whole number from 1", "not 0")),
    "text for a number": Case(config(hidden_size="64"), "3:17", ("must be a whole number from 1", "not '64'")),
    "negative layers": Case(config(num_hidden_layers=-1), "5:23", ("'num_hidden_layers' must be", "not -1")),
    "absurd layers": Case(config(num_hidden_layers=10**30), "5:23", ("to 4,096, not 1000",)),
    "heads that do not divide": Case(config(hidden_size=65), "3:17", ("'hidden_size' 65 is no multiple of 'num_attention_heads' 4",)),
    "unknown activation": Case(config(hidden_act="gleu"), "9:16", ("unknown 'gleu'", "did you mean 'gelu'?")),
    "list for an activation": Case(config(hidden_act=["gelu"]), "9:16", ("unknown a list of 1 item", "valid: gelu")),
    "trailing comma": Case('{"model_type": "llama",}', "1:24", ("not valid JSON",)),
    "cut off": Case('{"model_type": "llama", "hidden_size": ', "1:40", ("not valid JSON: expecting value",)),
    "single quotes": Case("{'model_type': 'llama'}", "1:2", ("not valid JSON", "double quotes")),
    "key twice": Case('{"model_type": "llama",\n "model_type": "gpt2"}', "2:2", ("'model_type' is given twice",)),
    "list": Case("[1, 2]", "1:1", ("must be a JSON object, not a list of 2 items",)),
    "empty file": Case("", "1:1", ("file is empty", "expected a JSON object")),
    "nesting beyond the stack": Case('{"a":' * 100_000, "", ("nested too deeply",)),
    "endless number": Case(f'{{"model_type": {"9" * 5000}}}', "", ("too many digits",)),
    "binary": Case(b"\x93NUMPY\x01\x00", "1:1", ("0x93 is no UTF-8 text", "binary file")),
}  # fmt: skip


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with good files beside the broken one; messages name files relative to it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "arch.yaml").write_text(ARCH)
    (tmp_path / "other.yaml").write_text("base: f.yaml\n")
    (tmp_path / "trace.csv").write_text(TRACE)
    (tmp_path / "broken.csv").write_text(TRACE.replace("gemm,2", "gemm,two"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner.yaml").write_text("a: 1\n")
    return tmp_path


def broken_file(case: Case, name: str) -> str:
    Path(name).write_bytes(case.text.encode() if isinstance(case.text, str) else case.text)
    return name


def check_message(code: int, out: str, err: str) -> None:
    """Whatever is wrong, a user sees one screen on stderr and nothing else."""
    lines = err.splitlines()
    assert code == 2, err
    assert out == ""
    assert 0 < len(lines) <= HEIGHT
    assert max(map(len, lines)) <= WIDTH
    assert "Traceback" not in err
    assert "internal error" not in err
    assert all(line.isprintable() for line in lines)


def check_case(case: Case, name: str, code: int, out: str, err: str) -> None:
    check_message(code, out, err)
    first = err.splitlines()[0]
    assert first.startswith(f"error: {name}:{case.place}" if case.place else "error: "), err
    folded = " ".join(err.split())
    for words in case.words:
        assert words in folded, err


def cases(table: dict[str, Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", table.values(), ids=table)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run_command(list(arguments))
    return (code, *capsys.readouterr())


@cases(ARCHES)
def test_architectures(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    name = broken_file(case, "f.yaml")
    check_case(case, name, *run(capsys, "validate", name))
    # A run stops at the same mistake, before it writes anything.
    code, out, err = run(capsys, "run", name, "trace.csv", "-o", "out")
    check_message(code, out, err)
    assert any(words in " ".join(err.split()) for words in case.words), err
    assert not Path("out").exists()


@cases(SWEEPS)
def test_sweeps(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    name = broken_file(case, "s.yaml")
    check_case(case, name, *run(capsys, "validate", name))
    check_case(case, name, *run(capsys, "sweep", name, "-o", "out"))
    assert not Path("out").exists()


@cases(WORKLOADS)
def test_workloads(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    name = broken_file(case, "w.yaml")
    for arguments in (["validate", name], ["trace", name, "-o", "out"], ["run", "arch.yaml", name, "-o", "out"]):
        check_case(case, name, *run(capsys, *arguments))
    assert not Path("out").exists()


@cases(TRACES)
def test_traces(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    name = broken_file(case, "t.csv")
    for arguments in (["validate", name], ["trace", name, "-o", "out"], ["run", "arch.yaml", name, "-o", "out"]):
        check_case(case, name, *run(capsys, *arguments))
    assert not Path("out").exists()


@cases(CONFIGS)
def test_configs(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    name = broken_file(case, "config.json")
    for arguments in (["validate", name], ["trace", name, "-o", "out"], ["run", "arch.yaml", name, "-o", "out"]):
        check_case(case, name, *run(capsys, *arguments))
    assert not Path("out").exists()


def test_a_buffer_too_small_for_one_tile(capsys: pytest.CaptureFixture[str]) -> None:
    """What the buffers must hold is known once there is a workload; before it, there is a warning."""
    text = arch("rows: 16, cols: 16", "rows: 128, cols: 128").replace(
        WEIGHTS, "weights: {size: 16 KiB, port_bits: 128}"
    )
    Path("tight.yaml").write_text(text)
    Path("big.csv").write_text(TRACE.replace("2,3,4", "128,128,128"))
    code, out, err = run(capsys, "run", "tight.yaml", "big.csv", "-o", "out")
    check_message(code, out, err)
    assert "memories.weights.size: too small for one tile" in " ".join(err.split())
    assert "valid: at least 65536 B" in " ".join(err.split())
    assert not Path("out").exists()
    code, out, err = run(capsys, "validate", "tight.yaml")
    assert (code, out) == (0, "tight.yaml: valid arch\n")
    assert err.startswith("warning: tight.yaml:7:19: memories.weights.size: only GEMMs smaller than the array fit")


def test_all_mistakes_of_a_file_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    text = arch("500 MHz", "fast").replace("rows: 16", "rows: 0").replace(WEIGHTS, "weights: {size: 64}\n  weihgts: 3")
    Path("f.yaml").write_text(text.replace("ddr4_2400", "7"))
    code, out, err = run(capsys, "validate", "f.yaml")
    check_message(code, out, err)
    places = [line.partition(": ")[0] for line in err.removeprefix("error: ").splitlines() if line.startswith("f.yaml")]
    assert places == ["f.yaml:3:8", "f.yaml:4:15", "f.yaml:8:3", "f.yaml:11:16"]
    assert err.count("^") == 4


@pytest.mark.parametrize("name", ["missing.yaml", "missing.csv", "missing.json", "folder"])
def test_files_that_cannot_be_read(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "validate", name)
    check_message(code, out, err)
    assert err.startswith(
        f"error: {name}: {'is a directory; it holds inner.yaml' if name == 'folder' else 'no such file'}"
    )


def test_good_files_beside_bad_ones(capsys: pytest.CaptureFixture[str]) -> None:
    Path("s.yaml").write_text(SWEEP)
    Path("w.yaml").write_text("model: gpt2\nseq_len: 16\n")
    Path("config.json").write_text(config())
    Path("child.yaml").write_text("base: arch.yaml\nname: child\n")
    Path("bad.yaml").write_text("")
    good = {"arch.yaml": "arch", "child.yaml": "arch", "s.yaml": "sweep", "w.yaml": "workload", "trace.csv": "trace"}
    good["config.json"] = "config"
    code, out, err = run(capsys, "validate", "bad.yaml", *good, "broken.csv")
    assert code == 2
    assert out.splitlines() == [f"{name}: valid {kind}" for name, kind in good.items()]
    assert [line for line in err.splitlines() if line.startswith("error: ")] == [
        "error: bad.yaml:1:1: file is empty; expected 'key: value' lines",
        "error: broken.csv:2:8: m: must be a whole number from 1 to 1,000,000,000,000, not 'two'",
    ]
    assert run(capsys, "validate", *good)[0] == 0


FLAGS = {
    "unknown command": (["rum"], ("unknown command 'rum'", "did you mean 'run'?")),
    "unknown option": (["run", "arch.yaml", "trace.csv", "--engin", "fast"], ("'--engin'", "Did you mean '--engine'?")),
    "policy beside formats": (
        ["compare-formats", "arch.yaml", "trace.csv", "--formats", "int8", "--policy", "w8a8"], ("--policy: what is",),
    ),
    "unknown policy": (["trace", "gpt2", "--policy", "w8a9x"], ("policy: unknown policy 'w8a9x'",)),
    "phase without its options": (["trace", "gpt2", "--phase", "generation"], ("new_tokens: missing",)),
    "bad request": (["trace", "gpt2", "--phase", "mixed", "--request", "decode"], ("context missing",)),
    "missing argument": (["run", "arch.yaml"], ("Missing argument 'WORKLOAD'", "hwsim run --help")),
    "unknown kind": (["list", "modle"], ("'modle' is not one of 'arch'", "'technology'")),
    "no file": (["validate"], ("Missing argument 'FILES...'",)),
    "unknown architecture": (["run", "edge_16x16", "trace.csv"], ("'edge_16x16'", "did you mean 'edge_16x16_45nm'?")),
    "unknown model": (["run", "arch.yaml", "lama-2-7b"], ("'lama-2-7b'", "did you mean 'llama-2-7b'?")),
    "unknown kind of workload": (["run", "arch.yaml", "arch.onnx/x"], ("no such file; there is no directory 'arch.onnx'; valid: a file (.csv",)),
    "unknown engine": (["run", "arch.yaml", "trace.csv", "--engine", "fats"], ("'fats'", "did you mean 'fast'?")),
    "empty batch": (["run", "arch.yaml", "trace.csv", "--batch", "0"], ("'--batch': 0 is not in the range x>=1",)),
    "phase that the model lacks": (["trace", "bert-base", "--phase", "decode"], ("bert has no decode phase",)),
    "setting without a value": (["run", "arch.yaml", "trace.csv", "--set", "array.rows"], ("expected PATH=VALUE",)),
    "setting of text": (
        ["run", "arch.yaml", "trace.csv", "--set", "array.rows=many"], ("--set: array.rows: must be an integer, not 'many'",)
    ),
    "setting of nothing": (
        ["run", "arch.yaml", "trace.csv", "--set", "array.rwos=3"], ("--set: array.rwos: unknown key", "did you mean 'rows'")
    ),
    "setting below a value": (["run", "arch.yaml", "trace.csv", "--set", "clock.x=1"], ("clock is '500 MHz'",)),
    "setting of an open bracket": (["run", "arch.yaml", "trace.csv", "--set", "pe={family: x"], ("'{' is not closed",)),
    "setting within a PE": (
        ["run", "arch.yaml", "trace.csv", "--set", "pe.format=fp61"], ("--set: pe.format: unknown format 'fp61'", "did you mean 'fp16'?")
    ),
    "name too long": (["run", "x" * 5000, "trace.csv"], ("no example 'xxx", "valid: bitmod_28nm")),
    "model too long": (["run", "arch.yaml", "x" * 5000], ("unknown model 'xxx",)),
    "NUL in a name": (["trace", "a\0.csv"], (r"a\x00.csv: cannot be read",)),
    "output into no folder": (["trace", "gpt2", "-o", "no/x.csv"], ("no/x.csv: cannot write the trace: No such file",)),
    "output into a file": (["sweep", "resnet50_int", "-o", "trace.csv"], ("'trace.csv' is a file",)),
    "schema into no folder": (["schema", "arch", "-o", "no/x.json"], ("no/x.json: cannot write the schema",)),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "words"), FLAGS.values(), ids=FLAGS)
def test_flags(arguments: list[str], words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *arguments)
    check_message(code, out, err.replace("\t", " "))
    for part in words:
        assert part in " ".join(err.split()), err


HWSIM = shutil.which("hwsim", path=Path(sys.executable).parent)


@pytest.mark.skipif(HWSIM is None, reason="hwsim is not installed beside this Python")
@pytest.mark.parametrize("name", ["unknown key", "nesting beyond the stack", "binary file", "unknown family"])
def test_the_installed_command(name: str) -> None:
    """A real process: the exit code, and that no file can take it down."""
    path = broken_file(ARCHES[name], "f.yaml")
    done = subprocess.run([str(HWSIM), "validate", path], capture_output=True, text=True, timeout=120)
    check_case(ARCHES[name], path, done.returncode, done.stdout, done.stderr)
