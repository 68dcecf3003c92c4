"""Replaying what was kept: an incident's raw bodies, and quarantined ones after an upgrade."""

import zlib
from dataclasses import dataclass, replace

from aegis_sink.dialects.errors import DialectError
from aegis_sink.flow.door import Door
from aegis_sink.intake.reading import read_aside
from aegis_sink.intake.receipt import Receipt, Status
from aegis_sink.store import incidents, quarantine
from aegis_sink.store.database import Database
from aegis_sink.store.quarantine import Quarantined

DOOR = "replay"


@dataclass(frozen=True, slots=True)
class Replay:
    """Puts kept bodies through the door again."""

    database: Database
    door: Door
    cluster: str

    async def incident(self, incident_id: str) -> list[Receipt]:
        """The raw bodies of an incident once more, as new; [] when they are no longer kept.

        What a list says of other objects is left out. A body that this version does not understand
        goes to quarantine.
        """
        bodies, found = await self.database.read(
            lambda c: (incidents.bodies(c, incident_id), incidents.findings_of(c, incident_id))
        )
        objects = {stored.finding.object for stored in found}
        receipts = []
        for _, packed in bodies:
            raw = zlib.decompress(packed)
            try:
                recognised = await read_aside(raw, cluster=self.cluster, yaml=True)
            except DialectError as error:  # an older version understood it
                receipts.append(await self.door.quarantine(raw, str(error), door=DOOR))
                continue
            recognised = replace(
                recognised, findings=tuple(f for f in recognised.findings if f.object in objects)
            )
            # The first makes the new incident; the others join it.
            force = not any(receipt.items for receipt in receipts)
            receipts.append(await self.door.accept(raw, recognised, door=DOOR, force=force))
        return receipts

    async def quarantined(self, item: Quarantined) -> Receipt:
        """Try a quarantined body again; it leaves quarantine when it is understood now."""
        try:
            recognised = await read_aside(item.body, cluster=self.cluster, yaml=True)
        except DialectError as error:
            reason = self.door.redact(str(error))
            await self.database.write(lambda c: quarantine.retried(c, item.id, reason))
            return Receipt(Status.QUARANTINED, item.id)
        receipt = await self.door.accept(item.body, recognised, door=item.door)
        await self.database.write(lambda c: quarantine.remove(c, item.id))
        return receipt
