"""A trace of a large model from its ``config.json`` alone: at once, and without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from hwsim.workload import model_config

#: Asked of the whole process; measured as processor time, since other processes share the machine of the tests.
SECONDS = 1.0
WITHOUT = "import sys; sys.modules.update(dict.fromkeys(('torch', 'transformers', 'pandas')))"


def test_llama_2_70b_takes_less_than_a_second_without_torch(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(model_config("llama-2-70b")))
    code = f"{WITHOUT}; from hwsim.cli.main import run_command; sys.exit(run_command(['trace', {str(path)!r}]))"
    before = os.times()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = os.times()
    assert "lm_head,gemm,2048,32000,8192,1,1" in done.stdout
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent < SECONDS
