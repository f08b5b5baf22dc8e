"""mainspring driven by Python's asyncio, which watches its descriptor.

    cargo build -p mainspring-hosts && python3 examples/hosts/asyncio_host.py target/debug
"""

import asyncio
import ctypes
import itertools
import pathlib
import sys
import time


class Mainspring:
    """A runtime as a guest of the running asyncio loop."""

    def __init__(self, folder):
        self.lib = ctypes.CDLL(str(pathlib.Path(folder) / "libmainspring_hosts.so"))
        self.lib.ms_new.restype = ctypes.c_void_p
        self.callback_type = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        self.callback = self.callback_type(self._called)
        self.waiting, self.numbers, self.turns = {}, itertools.count(1), 0
        self.rt = ctypes.c_void_p(self.lib.ms_new())
        self.loop = asyncio.get_running_loop()
        self.fd = self.lib.ms_fd(self.rt)
        self.loop.add_reader(self.fd, self._turn)

    def _turn(self):
        self.turns += 1
        if self.lib.ms_turn(self.rt) < 0:
            raise RuntimeError("the runtime cannot be turned")

    def _called(self, number):
        self.waiting.pop(number).set_result(None)

    async def sleep(self, millis):
        """Waits for a task of the runtime, as for any awaitable of asyncio."""
        number = next(self.numbers)
        self.waiting[number] = self.loop.create_future()
        done = self.waiting[number]
        self.lib.ms_sleep(
            self.rt, ctypes.c_uint64(millis), self.callback, ctypes.c_void_p(number)
        )
        await done

    def close(self):
        self.loop.remove_reader(self.fd)
        self.lib.ms_free(self.rt)


async def main(folder):
    guest = Mainspring(folder)
    order, start = [], time.monotonic()

    async def runs(name, millis, sleep):
        await sleep(millis)
        order.append(name)

    # Tasks of both loops, one beside the other.
    await asyncio.gather(
        runs("asyncio 20", 20, lambda ms: asyncio.sleep(ms / 1000)),
        runs("mainspring 40", 40, guest.sleep),
        runs("asyncio 60", 60, lambda ms: asyncio.sleep(ms / 1000)),
        runs("mainspring 80", 80, guest.sleep),
        *(guest.sleep(n % 10) for n in range(100)),
    )
    took = time.monotonic() - start
    print(f"asyncio: {order} in {took * 1000:.0f} ms, {guest.turns} turns of the guest")
    assert took >= 0.08 and sorted(order) == sorted(set(order)) and len(order) == 4
    before = guest.turns
    await asyncio.sleep(0.1)
    assert guest.turns == before, "an idle guest is not turned"
    guest.close()


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "target/debug"))
