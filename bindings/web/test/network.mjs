// What syncing may cost, and with whom: conditions, policies, directories, priorities.

import assert from "node:assert/strict";
import { eventually } from "./phones.mjs";

const connection = (phone) => phone.run(() => window.client.connection());
const progress = (phone, scope) => phone.run((scope) => window.client.progress(scope), scope);

export const networkTests = {
  async "a metered network carries what the app lets it"(phones) {
    const jem = await phones.phone("jem");
    await jem.run(() => window.client.upsert("Product", "metered-row", { description: "it costs" }));
    await jem.settle();
    const kay = await phones.phone("kay", { startOffline: true, network: { onMetered: "writes" } });
    await kay.run(async () => {
      await window.client.setConditions({ metered: true });
      await window.client.subscribe("catalog");
      await window.client.goOnline();
      await window.client.upsert("Stock", "metered-write", {});
      await window.client.drain(60_000);
    });
    const row = () => kay.run(() => window.client.get("Product", "metered-row"));
    assert.deepEqual([await row(), (await progress(kay, "catalog")).coverage], [null, "loading"]);
    await kay.fails("LF2106", () => window.client.settle(100));
    await kay.run(() => window.client.setConditions({}));
    await kay.settle();
    assert.equal((await row()).description, "it costs");
  },

  async "where nothing may be carried there is no session, and a day's bytes end"(phones) {
    const lou = await phones.phone("lou", { startOffline: true, network: { onMetered: "nothing" } });
    await lou.run(() => window.client.setConditions({ metered: true }).then(() => window.client.goOnline()));
    await eventually("it waits for another network", async () => (await connection(lou)).code === "metered");
    await lou.fails("LF2111", (options) => window.landfall.open(options),
      lou.options({ name: "other", network: { onMetered: "some" } }));

    const sparing = await phones.phone("lou", { startOffline: true, network: { meteredBytesADay: 1 } });
    await sparing.run(() => window.client.setConditions({ metered: true }));
    await sparing.run(async () => {
      await window.client.goOnline();
      await window.client.upsert("Stock", "within the day", {});
      await window.client.drain(60_000);
    });
    // The first session cost more than that: from the next one on only writes leave.
    await sparing.run(async () => {
      await window.client.goOffline();
      await window.client.subscribe("region/fr");
      await window.client.goOnline();
      await window.client.upsert("Stock", "beyond the day", {});
      await window.client.drain(60_000);
    });
    assert.equal((await progress(sparing, "region/fr")).coverage, "loading");
  },

  async "another network ends every wait"(phones) {
    // Nobody listens there: clients wait longer and longer between their attempts.
    const nobody = { regions: [{ name: "nobody", url: "http://127.0.0.1:9" }] };
    const [told, untold] = [await phones.phone("mae", nobody), await phones.phone("mae", nobody)];
    for (const phone of [told, untold]) {
      await eventually("a long wait", async () => (await connection(phone)).retryMs > 2_000);
      await phone.run(() => {
        window.attempts = 0;
        window.client.events((event) => {
          window.attempts += event.kind === "connection" && event.connection.state === "connecting" ? 1 : 0;
        });
      });
    }
    await told.run(async () => {
      for (let n = 1; n <= 8; n += 1) {
        await window.client.networkChanged();
        while (window.attempts < n || (await window.client.connection()).state !== "waiting") {
          await new Promise((done) => setTimeout(done, 2));
        }
      }
    });
    const others = await untold.run(() => window.attempts);
    assert(others < 4, `who was told nothing made ${others} attempts meanwhile`);
  },

  async "a signed directory is followed, and a key that is none is told"(phones) {
    const guide = await phones.guide();
    const trusting = { regions: [guide.region], network: { directoryKeys: [guide.key] } };
    const nel = await phones.phone("nel", trusting);
    await nel.run(() => window.client.upsert("Stock", "guided", {}));
    const { name } = phones.regions[1];
    await eventually("it is led there", async () => (await connection(nel)).region === name);
    await nel.run(() => window.client.drain(60_000));

    const ona = await phones.phone("ona", { regions: [guide.region] });
    await ona.run(() => window.client.upsert("Stock", "not guided", {}));
    await ona.settle();
    assert.equal((await connection(ona)).region, "guide");
    await ona.fails("LF2310", (options) => window.landfall.open(options),
      ona.options({ name: "other", network: { directoryKeys: ["none"] } }));
    await guide.stop();
  },

  async "a slot sends writes first, and asks for nothing of lower priorities than it is for"(phones) {
    const pia = await phones.phone("pia");
    await pia.run(() => window.client.transaction()
      .upsert("Product", "urgent-row", {})
      .upsert("Order", "slot-row", { market: "it", placedAt: 0, status: "PLACED" }).commit());
    await pia.settle();
    const ren = await phones.phone("ren", { startOffline: true });
    await ren.run(async () => {
      await window.client.subscribe("region/it");
      await window.client.subscribe("catalog", { priority: 5 });
      await window.client.upsert("Stock", "slot-write", {});
    });
    const report = await ren.run(() => window.client.syncOnce({ deadlineMs: 60_000, priorityMin: 5 }));
    assert.deepEqual([report.done, report.unsent], [true, 0]);
    const rows = () => ren.run(async () =>
      [(await window.client.get("Product", "urgent-row")) !== null, (await window.client.get("Order", "slot-row")) !== null]);
    assert.deepEqual([await rows(), (await progress(ren, "region/it")).coverage], [[true, false], "loading"]);
    assert.equal((await ren.run(() => window.client.syncOnce({ deadlineMs: 60_000 }))).done, true);
    assert.deepEqual(await rows(), [true, true]);
    await ren.fails("LF2111", () => window.client.syncOnce({ deadlineMs: 1, priorityMin: 256 }));
  },
};
