"""What the unit tests of the diagnosis share."""

import asyncio

# On Python 3.11 pytest-asyncio 1.5 asks for "the" event loop when a module's first tests are not
# async, which makes one that nobody closes. Setting none tells asyncio not to make it.
asyncio.set_event_loop(None)
