import asyncio, time, signal, sys, os
from pathlib import Path
import tests.e2e.process as pr
from tests.e2e.process import Serve
from tests.e2e.rig import config, write_config, Samples
from tests.e2e.test_serve_process import HUBS, send_until_cut, frames
def P(*a): print(*a, file=open('/work/scratch/hang.txt','a'), flush=True)
async def test_x(tmp_path: Path):
    for n in range(60):
        folder = tmp_path / str(n // 2)
        folder.mkdir(exist_ok=True)
        settings = config(folder); del settings["gateway"]["id"]
        path = write_config(folder, settings)
        answered = dict.fromkeys(HUBS, 0)
        async with Serve(tmp_path, "--config", path, PYTHONFAULTHANDLER="1") as gateway:
            clients = [await gateway.connect() for _ in HUBS]
            for client, hub in zip(clients, HUBS, strict=True):
                await client.ask(frames.thermo_login(hub), frames.thermo_answer())
            tasks = [asyncio.create_task(send_until_cut(c, 0)) for c in clients]
            t = time.time()
            async def wait():
                while (await gateway.samples()).total("iotlink_uplinks_settled_total", outcome="accepted") <= 400:
                    await asyncio.sleep(0.01)
            try:
                await asyncio.wait_for(wait(), 15)
            except TimeoutError:
                P("HANG", n)
                gateway.send_signal(signal.SIGABRT)
                await gateway.ended()
                P(gateway.stderr[-6000:])
                for x in tasks: x.cancel()
                raise
            gateway.send_signal(signal.SIGKILL)
            await gateway.ended()
            await asyncio.gather(*tasks)
            P(n, round(time.time()-t,2))
