"""Register files as a kind of memory."""

from __future__ import annotations

from pydantic import Field

from hwsim.hardware.memory.candidates import Candidate
from hwsim.hardware.memory.explain import MemorySheet, memory_sheet
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
        s = settings
        ports = s.read_ports, s.write_ports
        built = build_register_file(
            s.words, s.width, *ports, s.node, s.device, s.shared_ports, None, s.temperature,
        )  # fmt: skip
        return with_published(built, s.figures)

    def sheet(self, settings: RegisterFileSettings) -> MemorySheet:
        """Return its figures with their sources."""
        return memory_sheet(self.build(settings))

    def candidates(self, settings: RegisterFileSettings) -> list[Candidate]:
        """Return nothing: one way leads to its figures, which ``answered_by`` states."""
        return []


MEMORIES.register("register_file")(RegisterFileKind())
