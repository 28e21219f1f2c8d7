"""Register files as a kind of memory."""

from __future__ import annotations

from pydantic import Field

from hwsim.hardware.memory.candidates import Candidate
from hwsim.hardware.memory.explain import MemorySheet, memory_sheet
from hwsim.hardware.memory.figures import NAMES
from hwsim.hardware.memory.kinds import MEMORIES
from hwsim.hardware.memory.published import PublishedSpec, with_published
from hwsim.hardware.memory.register_file import RegisterFile, build_register_file
from hwsim.hardware.memory.temperature import ROWS_K
from hwsim.spec.bind import Spec
from hwsim.spec.units import NodeNm, TemperatureK


class RegisterFileSettings(Spec):
    """What a register file is asked for."""

    words: int = Field(64, ge=1)
    width: int = Field(32, ge=1, description="bits per access")
    read_ports: int = Field(1, ge=0)
    write_ports: int = Field(1, ge=0)
    shared_ports: int = Field(0, ge=0)
    node: NodeNm = Field(28, description="nm")
    device: str = Field("hp", description="transistor type: hp or lstp")
    temperature: TemperatureK = Field(ROWS_K, description="leakage holds at it")
    figures: PublishedSpec | None = Field(None, description="figures that go before the models'")


class RegisterFileKind:
    """Register files by CACTI's rows."""

    settings = RegisterFileSettings

    def build(self, settings: RegisterFileSettings) -> RegisterFile:
        """Return the file."""
        return with_published(self._modelled(settings), settings.figures)

    @staticmethod
    def _modelled(settings: RegisterFileSettings) -> RegisterFile:
        s = settings
        ports = s.read_ports, s.write_ports
        return build_register_file(s.words, s.width, *ports, s.node, s.device, s.shared_ports, None, s.temperature)

    def sheet(self, settings: RegisterFileSettings) -> MemorySheet:
        """Return its figures with their sources."""
        return memory_sheet(self.build(settings))

    def candidates(self, settings: RegisterFileSettings) -> list[Candidate]:
        """Return the figures that the user gives, then what CACTI's rows answer, and how."""
        modelled, given = self._modelled(settings), settings.figures.figures if settings.figures else {}
        rest = [name for name in NAMES if name not in given]
        why = "none given (figures: with a source)"
        if settings.figures:
            why = f"given by the user: {settings.figures.source}"
        ours = f"answers for {', '.join(rest)}" if rest else "all figures are given"
        return [
            Candidate("published", given, bool(given), why),
            Candidate(
                modelled.answered_by,
                {name: getattr(modelled, name) for name in NAMES},
                bool(rest),
                f"{ours}: CACTI's register files, the only model of them",
            ),
        ]


MEMORIES.register("register_file")(RegisterFileKind())
