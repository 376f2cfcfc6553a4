// Orders of a shop: what is written, read, and exchanged.

import assert from "node:assert/strict";
import { eventually } from "./phones.mjs";

export const shopTests = {
  async "what is written offline is there after a reload, and the first query is quick"(phones) {
    const ann = await phones.closed("ann");
    const took = await ann.run(async (options) => {
      const began = performance.now();
      window.client = await window.landfall.open(options);
      const opened = performance.now();
      await window.client.query("SELECT count(*) AS n FROM \"Order\"");
      return { open: opened - began, first: performance.now() - began };
    }, ann.options({ startOffline: true }));
    console.log(`    opened in ${took.open.toFixed(0)} ms, first query after ${took.first.toFixed(0)} ms`);
    const writes = await ann.run(async () => {
      const began = performance.now();
      for (let at = 0; at < 50; at += 1) {
        await window.client.upsert("Product", `p-${at}`, { description: "tea" });
      }
      return (performance.now() - began) / 50;
    });
    console.log(`    a write takes ${writes.toFixed(1)} ms`);
    const receipt = await ann.order("o-1", "PLACED", "by hand");
    assert.equal(receipt.dots.length, 1);
    assert.deepEqual(receipt.keys, [{ type: "Order", id: "o-1", home: "region/fr" }]);
    await ann.load();
    await ann.open({ startOffline: true });
    const rows = await ann.query("SELECT id, status, note, placedAt FROM \"Order\"");
    assert.deepEqual(rows, [{ id: "o-1", status: "PLACED", note: "by hand", placedAt: 1_700_000_000_000_000 }]);
    const fate = await ann.run((dot) => window.client.fate(dot), receipt.dots[0]);
    assert.deepEqual(fate, { state: "pending", sent: false });
  },

  async "two phones exchange an order, one of them offline in between"(phones) {
    const ann = await phones.phone("ann");
    const bob = await phones.phone("bob", { regions: phones.regions.toReversed() });
    for (const phone of [ann, bob]) {
      await phone.run(() => window.client.subscribe("region/fr"));
      await phone.settle();
    }
    await ann.order("x-1", "PLACED");
    const has = (phone, sql) => async () => (await phone.query(sql)).length > 0;
    await eventually("bob has ann's order", has(bob, "SELECT 1 FROM \"Order\" WHERE id = 'x-1'"));
    await bob.run(() => window.client.goOffline());
    await eventually("bob is offline", async () => (await bob.run(() => window.client.connection())).state === "offline");
    await bob.order("x-2", "PACKED", "from the cellar");
    await ann.run(() => window.client.update("Order", "x-1", { status: "SENT" }));
    await ann.settle();
    assert.deepEqual(await bob.query("SELECT status FROM \"Order\" WHERE id = 'x-1'"), [{ status: "PLACED" }]);
    assert.deepEqual(await ann.query("SELECT id FROM \"Order\" WHERE id = 'x-2'"), []);
    await bob.run(() => window.client.goOnline());
    await eventually("ann has bob's order", has(ann, "SELECT 1 FROM \"Order\" WHERE id = 'x-2' AND note = 'from the cellar'"));
    await eventually("bob has ann's change", has(bob, "SELECT 1 FROM \"Order\" WHERE id = 'x-1' AND status = 'SENT'"));
    const digest = (phone) => phone.run(() => window.client.digest());
    for (const phone of [ann, bob]) {
      await phone.settle();
    }
    await eventually("both hold the same", async () => (await digest(ann)) === (await digest(bob)));
    assert.equal((await ann.run(() => window.client.progress("region/fr"))).coverage, "complete");
  },

  async "values of every kind come back as they were written"(phones) {
    const cyd = await phones.phone("cyd", { startOffline: true });
    const row = await cyd.run(async () => {
      const { client } = window;
      await client.transaction()
        .upsert("Product", "p-1", { description: "tea, 50% off; $5 \"now\"", price: "12.345" })
        .upsert("Order", "o-2", {
          market: "fr", placedAt: 1_795_780_800_123_456n, status: "TELEPORTED", marginCents: -(2n ** 63n), cancelled: true,
          shipTo: { street: "1, rue \"de\" Lyon\n", city: "Paris", zip: null },
        })
        .upsert("OrderLine", "l-1", { order: "o-2", sku: "p-1", quantity: 3, unitPrice: "0.100" })
        .commit();
      const order = await client.get("Order", "o-2");
      // What a column holds can be written again.
      await client.update("Order", "o-2", { shipTo: JSON.parse(order.shipTo) });
      const again = await client.get("Order", "o-2");
      return {
        product: await client.get("Product", "p-1"), line: await client.get("OrderLine", "l-1"),
        margin: String(order.marginCents), placedAt: order.placedAt, status: order.status, cancelled: order.cancelled,
        shipTo: order.shipTo, same: again.shipTo === order.shipTo, nothing: await client.get("Product", "nothing"),
      };
    });
    assert.equal(row.product.price, 12345);
    assert.equal(row.product.description, "tea, 50% off; $5 \"now\"");
    assert.equal(row.line.unitPrice, 100);
    assert.equal(row.margin, String(-(2n ** 63n)));
    assert.equal(row.placedAt, 1_795_780_800_123_456);
    assert.deepEqual([row.status, row.cancelled, row.nothing], ["TELEPORTED", 1, null]);
    assert.deepEqual(JSON.parse(row.shipTo), { street: "1, rue \"de\" Lyon\n", city: "Paris", zip: null });
    assert(row.same);
    await cyd.run(() => window.client.delete("Order", "o-2"));
    assert.equal(await cyd.run(() => window.client.get("OrderLine", "l-1")), null);
  },

  async "many calls at once count once each"(phones) {
    const dan = await phones.phone("dan");
    await dan.run(async () => {
      await window.client.subscribe("catalog");
      await window.client.upsert("Stock", "many", {});
      const all = Array.from({ length: 200 }, () => window.client.transaction().increment("Stock", "many", "sold", 1).commit());
      await Promise.all(all);
    });
    await dan.settle();
    const eve = await phones.phone("eve");
    await eve.run(() => window.client.subscribe("catalog"));
    await eve.settle();
    for (const phone of [dan, eve]) {
      assert.equal((await phone.run(() => window.client.get("Stock", "many"))).sold, 200);
    }
  },

  async "a write is told when regions hold it"(phones) {
    const fay = await phones.phone("fay", { startOffline: true });
    const told = await fay.run(async () => {
      const fates = window.client.fates();
      const first = fates.next();
      const receipt = await window.client.upsert("Stock", "told", {});
      const before = await window.client.fate(receipt.dots[0]);
      await window.client.goOnline();
      let step = (await first).value;
      while (step.fate.durable !== true) {
        step = (await fates.next()).value;
      }
      await fates.return();
      return { step, dot: receipt.dots[0], before, after: await window.client.fate(receipt.dots[0]) };
    });
    assert.deepEqual(told.before, { state: "pending", sent: false });
    assert.equal(told.step.dot, told.dot);
    assert.equal(told.step.key.type, "Stock");
    assert.deepEqual(told.after, { state: "accepted", durable: true });
  },

  async "two editors of one note keep both their words"(phones) {
    const [gus, hal] = [await phones.phone("gus"), await phones.phone("hal")];
    await gus.run(() => window.client.subscribe("region/fr"));
    await gus.order("o-3", "PLACED", "ring");
    const edited = await gus.run(async () => {
      const { client } = window;
      const [one, two] = [await client.text("Order", "o-3", "note"), await client.text("Order", "o-3", "note")];
      await one.splice(4, 0, " the 🔔");
      await two.splice(0, 0, "do ");
      const [first, second] = [await one.commit(), await two.commit()];
      const before = [one.value, two.value];
      await one.pull();
      const after = [one.value, (await client.get("Order", "o-3")).note, await one.commit()];
      const beyond = await one.splice(99, 0, "x").catch((error) => error.code);
      await one.splice(0, 13, "ring");
      await one.commit();
      await Promise.all([one.close(), two.close()]);
      const closed = await one.pull().catch((error) => error.code);
      return { before, after, errors: [beyond, closed], keys: [first.keys[0].id, second.keys[0].id] };
    });
    assert.deepEqual(edited.before, ["ring the 🔔", "do ring"]);
    assert.deepEqual(edited.after, ["do ring the 🔔", "do ring the 🔔", null]);
    assert.deepEqual([edited.errors, edited.keys], [["LF2016", "LF2311"], ["o-3", "o-3"]]);
    for (const phone of [gus, hal]) {
      await phone.run(() => window.client.subscribe("region/fr"));
      await phone.settle();
      await phone.run(() => window.client.goOffline());
    }
    const splice = (phone, at, text) => phone.run(([at, text]) =>
      window.client.transaction().splice("Order", "o-3", "note", at, 0, text).commit(), [at, text]);
    await splice(gus, 4, " twice");
    await splice(hal, 0, "please ");
    for (const phone of [gus, hal]) {
      await phone.run(() => window.client.goOnline());
    }
    const note = async (phone) => (await phone.run(() => window.client.get("Order", "o-3"))).note;
    for (const phone of [gus, hal]) {
      await eventually("both words", async () => (await note(phone)) === "please ring twice");
    }
  },
};
