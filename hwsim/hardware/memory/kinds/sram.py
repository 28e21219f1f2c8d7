"""SRAM as a kind of memory."""

from __future__ import annotations

from pydantic import Field

from hwsim.hardware.memory.candidates import Candidate, sram_candidates
from hwsim.hardware.memory.ecc import Ecc
from hwsim.hardware.memory.explain import MemorySheet, memory_sheet
from hwsim.hardware.memory.kinds import MEMORIES
from hwsim.hardware.memory.published import PublishedSpec, published_or
from hwsim.hardware.memory.sram import Request, Sram, build_sram
from hwsim.hardware.memory.temperature import ROWS_K
from hwsim.spec.bind import Spec
from hwsim.spec.units import NodeNm, SizeBytes, TemperatureK


class SramSettings(Spec):
    """What SRAM is asked for."""

    size: SizeBytes = Field(64 * 1024, description="capacity of data")
    width: int = Field(64, ge=1, le=1 << 20, description="bits per access")
    banks: int = Field(1, ge=1, le=64)
    node: NodeNm = Field(28, description="nm")
    device: str = Field("hp", description="transistor type: hp, lstp or lop")
    temperature: TemperatureK = Field(ROWS_K, description="leakage holds at it")
    ports: str = Field("1rw", description="1rw: one port that reads or writes; 1r1w: one of each")
    ecc: Ecc = Field("none", description="secded: check bits beside every word")
    figures: PublishedSpec | None = Field(None, description="figures that go before the models'")

    @property
    def request(self) -> Request:
        """The same as the models take it."""
        shape = self.size, self.width, self.banks, self.node
        # any text, so that the models refuse what has no figures and say why
        return Request(*shape, self.device, self.temperature, self.ports, self.ecc)  # type: ignore[arg-type]


class SramKind:
    """SRAM macros by CACTI's rows."""

    settings = SramSettings

    def build(self, settings: SramSettings) -> Sram:
        """Return the array."""
        *shape, kelvin, ports, ecc = request = settings.request
        return published_or(
            settings.figures, Sram, request, lambda: build_sram(*shape, None, kelvin, ports, ecc)
        )  # fmt: skip

    def sheet(self, settings: SramSettings) -> MemorySheet:
        """Return its figures with their sources."""
        return memory_sheet(self.build(settings))

    def candidates(self, settings: SramSettings) -> list[Candidate]:
        """Return every model that could answer."""
        return sram_candidates(settings.request, settings.figures)


MEMORIES.register("sram")(SramKind())
